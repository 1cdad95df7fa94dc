'use strict'

// Peers that break the protocol against ours, which serves a good reader all the while; then wire-peer.js in its
// modes. The tables say what is expected.

const { check, within, folder, start, wire, main } = require('./peers')
const { STAYS, modes, lies } = require('./misbehave')

// What sanitizers keep of freed memory counts as held.
process.env.ASAN_OPTIONS = [process.env.ASAN_OPTIONS, 'quarantine_size_mb=8'].filter(Boolean).join(':')

const PEAK_MAX = 96 // MiB above what the process has before anybody misbehaves
const BLOCKS = 200
const SIZE = 32768

const cases = {}
const mib = (n) => n.toFixed(1) + ' MiB'
const at = (port) => '127.0.0.1:' + port

// --- our peer, and a good reader of it ---

let world = null
function begin() {
  if (world === null) world = makeWorld()
  return world
}

async function makeWorld() {
  const ours = start.ours({ listen: 0, blocks: BLOCKS, size: SIZE, quiet: true, serve: true, key: lies.map((core) => core.key.toString('hex')).join(',') })
  const port = await ours.port()
  const key = Buffer.from((await ours.keys())[0], 'hex')
  const reader = start.js({ connect: at(port), key: key.toString('hex'), until: 1e9, quiet: true })
  await reader.complete(BLOCKS)
  return { ours, port, key, reader, length: BLOCKS, before: ours.memory() }
}

// The good reader gets what is appended now.
async function readerFollows(w) {
  const length = (w.length += 5)
  w.ours.say('append 5')
  await w.reader.line('length ' + length, (l) => l.complete >= length)
}

// --- bad peers ---

for (const [name, [expected, misbehave]] of Object.entries(modes)) {
  cases[name] = async () => {
    const w = await begin()
    const socket = await within(misbehave(w), () => name)
    const ended = (l) => l.disconnection === socket.name
    if (expected === STAYS) {
      for (let i = 0; i < 5; i++) await readerFollows(w)
      const line = w.ours.lines.find(ended)
      check(!line, 'it ended: ' + JSON.stringify(line))
    } else {
      const [line] = await Promise.all([w.ours.line('the end of ' + name, ended), readerFollows(w)])
      check(line.code === expected, 'expected ' + expected + ', got ' + JSON.stringify(line))
    }
    socket.destroy()
    return (expected || 'it stays').padEnd(12) + ', peak ' + mib(w.ours.memory().peak)
  }
}

// --- wire-peer.js ---

// Serving ours: its options, the codes that connections to it end with until ours has all blocks, whether it takes
// a second source to get them, and how many ours has before.
const sources = {
  'no-answer': [{ 'no-answer': true }, [], true], // Q8: asked elsewhere after 30 s
  corrupt: [{ corrupt: '5' }, ['AB_ECORRUPT'], false], // D5; the next connection brings the true block
  'no-range': [{ 'no-range': true }, [], false], // H10: it is asked by Want
  'no-want-reply': [{ 'no-want-reply': true }, [], false],
  'no-range-no-want-reply': [{ 'no-range': true, 'no-want-reply': true }, [], true], // H11
  'no-ack': [{ 'no-ack': true }, [], false],
  'no-ack-resume': [{ 'no-ack': true }, [], true, 100], // S3: ours has blocks and waits for the acknowledgement
  'no-seeks': [{ 'no-seeks': true }, [], false],
  'not-downloading': [{ 'not-downloading': true }, [], false] // S7
}

for (const [name, [fields, codes, needsHelp, held = 0]] of Object.entries(sources)) {
  cases['source/' + name] = async () => {
    const bad = wire({ listen: 0, blocks: BLOCKS, quiet: true, ...fields })
    const good = needsHelp && wire({ listen: 0, blocks: BLOCKS, quiet: true })
    const key = (await bad.line('key', (l) => l.key)).key
    const connect = at(await bad.port()) + (good ? ',' + at(await good.port()) : '')
    const storage = folder()
    if (held) {
      const first = wire({ listen: 0, blocks: held, quiet: true })
      await start.ours({ connect: at(await first.port()), key, storage, until: held, quiet: true }).outcome()
    }
    const ours = start.ours({ connect, key, storage, until: 1e9, quiet: true })
    await ours.complete(BLOCKS)
    const { peak } = ours.memory()
    const ends = ours.lines.filter((l) => l.disconnection).map((l) => l.code)
    check(JSON.stringify(ends) === JSON.stringify(codes), 'connections ended with ' + JSON.stringify(ends))
    const [x, y] = [await bad.end(), await ours.end()]
    check(x.treeHash === y.treeHash && y.held === BLOCKS, 'ours holds ' + y.held + ' of ' + BLOCKS)
    check(peak < PEAK_MAX, 'peak ' + mib(peak))
    return (codes[0] || 'it stays').padEnd(12) + ', ' + (good ? 'complete by another source' : 'complete') + ', peak ' + mib(peak)
  }
}

// Reading from ours.
for (const name of ['no-range', 'no-ack', 'no-want-reply', 'no-answer', 'no-seeks', 'not-downloading']) {
  cases['reader/' + name] = async () => {
    const ours = start.ours({ listen: 0, blocks: BLOCKS, quiet: true })
    const key = (await ours.keys())[0]
    const y = await wire({ connect: at(await ours.port()), key, until: BLOCKS, quiet: true, [name]: true }).outcome()
    const { peak } = ours.memory()
    const x = await ours.end()
    check(x.treeHash === y.treeHash && y.blocks === BLOCKS, 'the reader holds ' + y.blocks + ' of ' + BLOCKS)
    check(x.stats.blocksOut === BLOCKS, x.stats.blocksOut + ' sent')
    check(peak < PEAK_MAX, 'peak ' + mib(peak))
    return 'complete, peak ' + mib(peak)
  }
}

async function theReaderIsDone() {
  if (world === null) return 'no good reader was needed'
  const w = await world
  const { peak } = w.ours.memory()
  const [y, x] = [await w.reader.end(), await w.ours.end()]
  check(y.held === w.length && x.cores[0].treeHash === y.treeHash, 'the good reader holds ' + y.held + ' of ' + w.length)
  check(!w.reader.lines.some((l) => l.error), 'the good reader was disturbed')
  check(peak - w.before.now <= PEAK_MAX, 'peak ' + mib(peak) + ', ' + mib(w.before.now) + ' before')
  return 'the good reader has all ' + w.length + ' blocks; peak ' + mib(peak) + ', ' + mib(w.before.now) + ' before'
}

// what waits for a deadline of ours goes first
const slow = ['no-handshake', 'half-handshake', 'silence', 'source/no-answer']
const ordered = Object.fromEntries([...slow, ...Object.keys(cases)].map((name) => [name, cases[name]]))
main(ordered, 6, theReaderIsDone)
