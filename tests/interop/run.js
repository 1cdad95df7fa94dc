'use strict'

// Cases of two peers that behave: one of ours and hypercore-peer.js.

const { options, check, start, folder, random, proxy, main } = require('./peers')

// Requests in flight; hypercore-peer.js has 48, and may end before it has stored as many more.
const WINDOW = { ours: 512, js: 96 }
const cases = {}

// The pairs of (who serves, who fetches).
const both = (name, run) => {
  for (const [from, to] of [
    ['ours', 'js'],
    ['js', 'ours']
  ])
    cases[name + '/' + from + '-to-' + to] = () => run(from, to)
}

function same(a, b, length, fork = 0) {
  check(a.length === length && a.fork === fork, 'the source is at ' + a.length + ' fork ' + a.fork)
  check(b.length === length && b.fork === fork, 'the reader is at ' + b.length + ' fork ' + b.fork)
  check(b.held === length, 'the reader holds ' + b.held + ' of ' + length)
  check(a.key === b.key && a.treeHash === b.treeHash && /^[0-9a-f]{64}$/.test(a.treeHash), 'the tree hashes differ')
}

const at = (port) => '127.0.0.1:' + port
const short = (result) => result.treeHash.slice(0, 12)

// A source that listens and a reader that has connected to it.
async function pair(from, to, source, reader) {
  const a = start[from]({ listen: 0, ...source })
  const b = start[to]({ connect: at(await a.port()), key: await keys(a), ...reader })
  return [a, b]
}

const keys = async (peer) => (await peer.keys()).join(',')

// --- everything ---

const BULK = 10000

both('blocks', async (from, to) => {
  const [a, b] = await pair(from, to, { blocks: BULK, quiet: true }, { until: BULK, quiet: true })
  const y = await b.outcome()
  const x = await a.end()
  same(x, y, BULK)
  return BULK + ' blocks, tree ' + short(y)
})

// the source dials
both('blocks-dialled', async (from, to) => {
  const key = '6ed8e27d593536dcebb84994638173305bbc2401fd8512bdbccb5349dcc8e879' // of the default seed
  const b = start[to]({ listen: 0, key, until: BULK, quiet: true })
  const a = start[from]({ connect: at(await b.port()), blocks: BULK, quiet: true })
  const y = await b.outcome()
  const x = await a.end()
  same(x, y, BULK)
  return BULK + ' blocks, tree ' + short(y)
})

// --- live ---

both('appends', async (from, to) => {
  const rounds = 40
  const [a, b] = await pair(from, to, { blocks: 10 }, { until: 10 + rounds + 1000 })
  await b.complete(10)
  for (let i = 1; i <= rounds; i++) {
    a.say('append 1')
    await b.complete(10 + i)
  }
  a.say('append 1000')
  const y = await b.outcome()
  const x = await a.end()
  same(x, y, 10 + rounds + 1000)
  return rounds + ' appends of 1 block, each seen before the next, then one of 1000'
})

// --- sparse ---

both('sparse', async (from, to) => {
  const wanted = [3, 17, 500, 501, 998, 999]
  const [a, b] = await pair(from, to, { blocks: 1000 }, { get: wanted.join(',') })
  const y = await b.outcome()
  const x = await a.end()
  check(JSON.stringify(Object.keys(y.blocks).map(Number)) === JSON.stringify(wanted), 'held: ' + Object.keys(y.blocks))
  for (const i of wanted) check(y.blocks[i] === x.blocks[i], 'block ' + i + ' differs')
  check(y.stats.blocksIn === wanted.length && x.stats.blocksOut === wanted.length, x.stats.blocksOut + ' sent, ' + y.stats.blocksIn + ' received')
  return wanted.length + ' of 1000 asked for, ' + x.stats.blocksOut + ' sent, ' + y.stats.blocksIn + ' received'
})

// --- resume ---

// Cuts at random points; every second one also ends our process, hypercore-peer.js ends with each. What was
// asked for and not received when a connection is cut may be sent again; nothing may be received twice.
both('resume', async (from, to) => {
  const [blocks, size, cuts] = [4000, 1024, 3]
  const pick = random(Number(options.seed))
  const storage = folder()
  const a = start[from]({ listen: 0, blocks, size, quiet: true })
  const points = Array.from({ length: cuts }, () => 50000 + pick(600000))
  const between = await proxy(await a.port(), points)
  const again = async () => start[to]({ connect: at(between.port), key: await keys(a), storage, until: blocks, quiet: true })
  let received = 0
  let processes = 1
  let b = await again()
  for (let i = 0; i < cuts; i++) {
    await Promise.race([between.cut(i + 1), b.exited])
    if (to === 'ours' && i % 2) continue
    const y = to === 'ours' ? await b.end() : await b.outcome(true)
    check(y.held < blocks, 'it was complete before cut ' + (i + 1))
    received += y.stats.blocksIn
    processes++
    b = await again()
  }
  const y = await b.outcome()
  const x = await a.end()
  received += y.stats.blocksIn
  same(x, y, blocks)
  // hypercore-peer.js still stores what has come while it says that its connection was cut
  check(to === 'ours' ? received === blocks : received <= blocks, received + ' blocks received')
  const limit = blocks + cuts * WINDOW[to]
  check(x.stats.blocksOut > 0 && x.stats.blocksOut <= limit, x.stats.blocksOut + ' blocks sent, at most ' + limit + ' allowed')
  between.close()
  return blocks + ' blocks, ' + cuts + ' cuts, ' + processes + ' processes, ' + received + ' received, ' + x.stats.blocksOut + ' sent, tree ' + short(y)
})

// --- several cores ---

both('cores', async (from, to) => {
  const [a, b] = await pair(from, to, { blocks: 500, cores: 3 }, { until: 500 })
  const y = await b.outcome()
  const x = await a.end()
  check(x.cores.length === 3 && y.cores.length === 3, 'cores are missing')
  for (let i = 0; i < 3; i++) same(x.cores[i], y.cores[i], 500)
  check(new Set(x.cores.map((core) => core.key)).size === 3, 'keys repeat')
  return '3 cores of 500 blocks on one connection'
})

// --- wakeup ---

// `to` looks up, `from` announces.
both('wakeup', async (from, to) => {
  const wakeup = 'ab'.repeat(32)
  const source = { blocks: 7, cores: 2, wakeup }
  const [a, b] = await pair(from, to, source, { until: 1000, wakeup, lookup: true })
  await a.line('lookup', (l) => l.wakeup === 'lookup')
  const { writers } = await b.line('announce', (l) => l.wakeup === 'announce')
  const expected = (await a.keys()).map((key) => ({ key, length: 7 }))
  check(JSON.stringify(writers) === JSON.stringify(expected), 'announced: ' + JSON.stringify(writers))
  await b.end()
  await a.end()
  return 'looked up, ' + writers.length + ' cores announced with their lengths'
})

// --- forks ---

both('truncate', async (from, to) => {
  const [a, b] = await pair(from, to, { blocks: 20 }, { until: 23, 'until-fork': 2 })
  await b.complete(20)
  a.say('truncate 11')
  await b.complete(11, 1)
  a.say('append 5')
  await b.complete(16, 1)
  a.say('truncate 3')
  a.say('append 20')
  const y = await b.outcome()
  const x = await a.end()
  same(x, y, 23, 2)
  return 'followed 20 → 11 → 16 → 3 → 23 blocks to fork 2, tree ' + short(y)
})

// The source is cut and grown while the reader is away.
both('reorg', async (from, to) => {
  const storage = folder()
  const key = '6ed8e27d593536dcebb84994638173305bbc2401fd8512bdbccb5349dcc8e879'
  const a = start[from]({ listen: 0, blocks: 20 })
  const connect = at(await a.port())
  const before = await start[to]({ connect, key, storage, until: 20 }).outcome()
  a.say('truncate 11')
  a.say('append 12')
  const y = await start[to]({ connect, key, storage, until: 23, 'until-fork': 1 }).outcome()
  const x = await a.end()
  same(x, y, 23, 1)
  check(y.blocks[10] === before.blocks[10] && y.blocks[11] !== before.blocks[11], 'the blocks are not those of the new fork')
  for (let i = 0; i < 23; i++) check(x.blocks[i] === y.blocks[i], 'block ' + i + ' differs')
  return 'fork 0 with 20 blocks became fork 1 with 23, ' + y.stats.blocksIn + ' fetched, tree ' + short(y)
})

main(cases, 2)
