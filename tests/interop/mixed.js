'use strict'

// Plays seeded courses of events with processes of both kinds and compares where they end.
//   node mixed.js AUTOBEE --seeds FIRST LAST [-v]
//   node mixed.js AUTOBEE PEERS SEED [-v] [-f]
//   node mixed.js AUTOBEE --late OPERATIONS [-v]

const { execFileSync } = require('child_process')
const fs = require('fs')
const os = require('os')
const path = require('path')
const { Controlled, Draws, limits, sleep, until } = require('./control')

const [program, ...words] = process.argv.slice(2)
const verbose = words.includes('-v')
const script = path.join(__dirname, 'json-v1.lua')
const javascript = path.join(__dirname, 'peers', 'autobee-peer.js')
const clockKey = Buffer.from('clock').toString('hex')
const FEATURES = ['bursts', 'climbs', 'strangers', 'rotations']
const WEIGHT_MAX = 6
const CLOSE_MS = 30000

class Peer extends Controlled {
  // `forwards`: it may adopt a state instead of applying what led to it
  constructor(kind, index, folder, forwards) {
    super(kind + index, verbose)
    this.kind = kind
    this.forwards = forwards
    this.folder = path.join(folder, this.name)
    this.made = false
    this.weight = 0 // granted last
    this.unanswered = 0 // appends
    this.hungCloses = 0
  }

  // Starts the process. `key` is the database's, null for the founder.
  async start(key) {
    if (this.kind === 'js') {
      const trust = this.forwards ? [] : ['--trust', 'none']
      await this.run('node', [javascript, this.folder, ...(key ? [key] : []), '--listen', '127.0.0.1:0', ...trust])
      return
    }
    if (!this.made) {
      const how = key ? ['join', key] : ['init']
      execFileSync(program, ['-q', '-C', this.folder, ...how, '--apply', script, ...(this.forwards ? ['--fast-forward'] : [])])
    }
    this.made = true
    await this.run(program, ['-C', this.folder, 'serve', '--control', '-', '--listen', 'tcp:127.0.0.1:0'])
  }

  async info() {
    return this.ask({ cmd: 'info' })
  }

  // The original's close waits for its drain, and that, after a fast-forward, for a block that close does not stop
  // asking for, though nobody is connected any more. That is counted; anything else that does not end is an error.
  async stop(killed) {
    if (this.kind === 'c' || killed) return super.stop(killed)
    this.ask({ cmd: 'close' }).catch(() => {})
    if (await Promise.race([this.exited.then(() => true), sleep(CLOSE_MS)])) return
    const { blocks } = await this.ask({ cmd: 'missing' })
    await super.stop(true)
    if (blocks.length === 0) throw new Error(this.name + ' does not close')
    this.hungCloses++
  }
}

// ---- where all end ----

// Of a state that was adopted, the original knows the order only as far back as it has the blocks.
function knownOrder(order) {
  const gap = order.lastIndexOf(null)
  return order.slice(gap + 1).map((node) => node.join('.'))
}

function sameOrder(a, b) {
  const length = Math.min(a.length, b.length)
  return a.slice(a.length - length).join() === b.slice(b.length - length).join()
}

async function endOf(peer) {
  const { order } = await peer.ask({ cmd: 'order' })
  const known = order.filter((node) => node !== null)
  const dump = await peer.ask({ cmd: 'dump' })
  const clock = dump.entries.find(([key]) => key === clockKey)
  return {
    peer: peer.name,
    values: clock ? 1 + Number(Buffer.from(clock[1], 'hex').toString()) : 0,
    order: knownOrder(order),
    twice: known.length - new Set(known.map(String)).size, // nodes that stand there again: a fault of that peer
    entries: dump.entries.length,
    view: dump.hash
  }
}

// Waits until all know all `values` and have the same order and view.
async function endAlike(peers, values) {
  let last
  await until('all peers end alike', async () => {
    last = await Promise.all(peers.map(endOf))
    const counted = last.every((end) => end.values === values)
    return counted && last.every((end) => sameOrder(end.order, last[0].order) && end.view === last[0].view)
  }).catch((error) => {
    throw Object.assign(error, { ends: last && last.map((end) => ({ ...end, order: end.order.length })) })
  })
  const infos = await Promise.all(peers.map((peer) => peer.info()))
  return {
    fastForwards: infos.map((info) => info.stats.fastForwards),
    nodes: last.map((end) => end.order.length),
    entries: last[0].entries,
    view: last[0].view
  }
}

async function meetAll(peers) {
  for (const peer of peers) await peer.ask({ cmd: 'disconnect' })
  for (let i = 1; i < peers.length; i++) for (let j = 0; j < i; j++) await peers[i].connect(peers[j])
}

// ---- a course ----

class Course {
  constructor(peers, seed, features) {
    this.peers = peers
    this.founder = peers[0]
    this.features = features
    this.draws = new Draws(seed)
    this.counts = { appends: 0, values: 0, bursts: 0, meetings: 0, partings: 0, restarts: 0, climbs: 0, rotations: 0, taken: 0, refused: 0 }
    this.writers = new Set([this.founder])
    this.unanswered = []
    // never granted: apply refuses what it writes
    this.stranger = features.strangers && peers.length > 2 ? peers[peers.length - 1] : null
  }

  below(n) {
    return this.draws.below(n)
  }

  async send(peer, values, optimistic) {
    this.counts.appends++
    // the original, after a fast-forward, may need a peer for it, and be alone: then nobody waits for its next ones
    const isBusy = peer.unanswered > 0
    peer.unanswered++
    const appended = peer
      .ask({ cmd: 'append', values, ...(optimistic ? { optimistic } : {}) })
      .catch((error) => {
        // ours says it; the original answers as always
        if (!values[0].reject || !error.message.includes('apply refused it')) throw error
      })
      .finally(() => peer.unanswered--)
    this.unanswered.push(appended)
    appended.catch(() => {})
    return Promise.race([appended, sleep(isBusy ? 0 : 3000)])
  }

  async append(peer, extra, optimistic) {
    const values = []
    for (let i = 0; i <= this.below(3); i++) {
      const put = { [`k${this.below(20)}`]: `${peer.name} ${this.counts.values}` }
      values.push({ n: this.counts.values++, put, ...(this.below(6) === 0 ? { del: [`k${this.below(20)}`] } : {}) })
    }
    if (extra) Object.assign(values[0], extra)
    return this.send(peer, values, optimistic)
  }

  async grant(peer) {
    if (this.features.strangers && this.below(2) === 0) await this.intrude(peer)
    const isIndexer = this.below(2) === 0
    peer.weight = 1 + this.below(3)
    await this.append(this.founder, { addWriter: peer.localKey, isIndexer, weight: peer.weight })
    this.writers.add(peer)
    await this.founder.connect(peer)
    await until(peer.name + ' becomes writable', async () => (await peer.info()).writable)
  }

  // Somebody knows the database, but was not granted.
  async knows(peer) {
    await this.founder.connect(peer)
    await until(peer.name + ' hears of the database', async () => (await peer.info()).flushes > 0)
  }

  // Writes before it was granted, and apply takes it.
  async intrude(peer) {
    await this.knows(peer)
    await this.append(peer, null, true)
    this.counts.taken++
  }

  // Writes what apply refuses. It must not be granted after that, and its later operations would wait for that one.
  async refused() {
    if (this.counts.refused > 0) return
    await this.knows(this.stranger)
    await this.send(this.stranger, [{ reject: true, put: { refused: String(this.counts.refused++) } }], true)
  }

  async climb() {
    const peer = this.draws.pick([...this.writers])
    if (peer === this.founder || peer.weight >= WEIGHT_MAX) return
    peer.weight += 1 + this.below(2)
    this.counts.climbs++
    await this.append(this.draws.pick([...this.writers]), { addWriter: peer.localKey, isIndexer: true, weight: peer.weight })
  }

  // Grants itself another key, and goes on with it.
  async rotate() {
    const peer = this.draws.pick([...this.writers])
    if (peer.unanswered > 0) return // what it was asked for before comes first
    const { key } = await peer.ask({ cmd: 'newWriter' })
    const granted = await this.append(peer, { addWriter: key, isIndexer: true, weight: 2 })
    if (!granted) return // it takes its time; rotating needs an empty queue
    const { localKey } = await peer.ask({ cmd: 'rotate', key })
    if (localKey !== key) throw new Error(peer.name + ' did not rotate')
    peer.localKey = key
    peer.weight = 2
    this.counts.rotations++
    await this.append(peer)
  }

  // So much that who was away for it may adopt the state instead of applying it.
  async burst() {
    const peer = this.draws.pick([...this.writers])
    this.counts.bursts++
    for (let i = 0; i < 40; i++) await this.append(peer)
  }

  async meet() {
    const [a, b] = [this.draws.pick(this.peers), this.draws.pick(this.peers)]
    if (a === b) return
    this.counts.meetings++
    await a.connect(b)
  }

  async part() {
    this.counts.partings++
    await this.draws.pick(this.peers).ask({ cmd: 'disconnect' })
  }

  async restart() {
    const peer = this.draws.pick(this.peers)
    if (peer.unanswered > 0) return // it would end before it has written
    this.counts.restarts++
    // the original does not promise to survive being killed
    await peer.stop(peer.kind === 'c' && this.below(2) === 0)
    await peer.start(this.founder.key)
  }

  async step(chances) {
    const name = this.draws.pick(chances)
    if (name === 'append') await this.append(this.draws.pick([...this.writers]))
    else if (name === 'rest') await sleep(this.below(300))
    else await this[name]()
  }

  async play() {
    const chances = ['append', 'append', 'append', 'append', 'append', 'meet', 'meet', 'part', 'rest', 'rest', 'restart']
    await this.founder.start(null)
    for (const peer of this.peers.slice(1)) await peer.start(this.founder.key)
    await this.append(this.founder)
    for (const peer of this.peers.slice(1)) {
      for (let i = 0; i < 8; i++) await this.step(chances)
      if (peer !== this.stranger) await this.grant(peer)
    }
    if (this.features.climbs) chances.push('climb')
    if (this.features.rotations) chances.push('rotate')
    if (this.stranger) chances.push('refused')
    for (let i = 0; i < 60; i++) {
      if (this.features.bursts && i % 20 === 10) await this.burst()
      else await this.step(chances)
    }
    await meetAll(this.peers)
    await Promise.all(this.unanswered)
    const end = await endAlike(this.peers, this.counts.values)
    if (this.counts.refused > 0) await this.checkRefused()
    return { ...this.counts, hungCloses: this.peers.map((peer) => peer.hungCloses), ...end }
  }

  async checkRefused() {
    const refused = Buffer.from('refused').toString('hex')
    for (const peer of this.peers) {
      const { entries } = await peer.ask({ cmd: 'dump' })
      if (entries.some(([key]) => key === refused)) throw new Error(peer.name + ' took what apply refuses')
    }
  }
}

// ---- joining late ----

const BATCH = 10

// The founder has written much when a peer joins, is granted, and writes.
async function joinLate(peers, operations) {
  const [founder, ...late] = peers
  await founder.start(null)
  let values = 0
  while (values < operations) {
    const batch = []
    for (let i = 0; i < BATCH; i++) batch.push({ n: values, put: { ['k' + (values++ % 5000)]: String(values) } })
    await founder.ask({ cmd: 'append', values: batch })
  }
  for (const peer of late) {
    await peer.start(founder.key)
    await founder.ask({ cmd: 'append', values: [{ n: values++, addWriter: peer.localKey, weight: 2, isIndexer: true }] })
    await peer.connect(founder)
    await peer.ask({ cmd: 'wait', writable: true, timeoutMs: limits.patienceMs })
    await peer.ask({ cmd: 'append', values: [{ n: values++, put: { by: peer.name } }] })
  }
  await meetAll(peers)
  const { flushes } = await late[0].info()
  for (const peer of peers) await peer.ask({ cmd: 'wait', flushes, timeoutMs: limits.patienceMs })
  return { values, ...(await endAlike(peers, values)) }
}

// ---- runs ----

// What a peer of the other kind waits for when it does not answer.
async function missingBlocks(peers) {
  const missing = {}
  for (const peer of peers) {
    if (peer.kind !== 'js' || !Controlled.all.has(peer)) continue
    const answer = await Promise.race([peer.ask({ cmd: 'missing' }).catch(() => null), sleep(5000)])
    if (answer && answer.blocks.length) missing[peer.name] = answer.blocks
  }
  return missing
}

// `play` with peers of these kinds, each `{kind, forwards}`; prints a line, and returns whether they ended alike.
async function run(what, kinds, play) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'autobee-mixed-'))
  const peers = kinds.map(({ kind, forwards }, i) => new Peer(kind, i, folder, forwards))
  const start = Date.now()
  let result
  try {
    result = { ok: true, ...(await play(peers)) }
  } catch (error) {
    result = { ok: false, error: error.message, ends: error.ends, faults: peers.map((peer) => peer.fault) }
    result.missing = await missingBlocks(peers)
  }
  for (const peer of peers) {
    if (!Controlled.all.has(peer)) continue
    await peer.stop(!result.ok).catch((error) => (result = { ...result, ok: false, error: error.message }))
  }
  if (result.ok) fs.rmSync(folder, { recursive: true })
  else result.folder = folder
  console.log(JSON.stringify({ peers: kinds.map(({ kind }) => kind).join(), ...what, seconds: (Date.now() - start) / 1000, ...result }))
  return result
}

function drawKinds(seed, forwards) {
  const draws = new Draws(seed ^ 0x5eed)
  const count = 2 + draws.below(4)
  const kinds = Array.from({ length: count }, () => draws.pick(['c', 'js']))
  if (!kinds.includes('c')) kinds[draws.below(count)] = 'c'
  if (!kinds.includes('js')) kinds[draws.below(count)] = 'js'
  return kinds.map((kind) => ({ kind, forwards: kind === 'js' || forwards }))
}

// Each combination of features comes once in sixteen seeds.
async function runSeeds(first, last) {
  const sums = { seeds: 0, failed: 0 }
  const add = (name, count) => (sums[name] = (sums[name] || 0) + count)
  for (let seed = first; seed <= last; seed++) {
    const features = Object.fromEntries(FEATURES.map((name, i) => [name, (seed >> i) % 2 === 1]))
    const kinds = drawKinds(seed, features.bursts)
    const names = FEATURES.filter((name) => features[name]).join()
    const result = await run({ seed, features: names }, kinds, (peers) => new Course(peers, seed, features).play())
    add('seeds', 1)
    if (!result.ok) {
      add('failed', 1)
      continue
    }
    for (const name of ['values', 'restarts', 'bursts', 'climbs', 'rotations', 'taken', 'refused']) add(name, result[name])
    for (const [i, { kind }] of kinds.entries()) {
      add('fastForwards of ' + kind, result.fastForwards[i])
      add('hungCloses of ' + kind, result.hungCloses[i])
    }
  }
  console.log(JSON.stringify(sums))
  return sums.failed
}

async function runLate(operations) {
  let failed = 0
  limits.patienceMs += 20 * operations
  for (const founder of ['c', 'js']) {
    const kind = founder === 'c' ? 'js' : 'c'
    for (const forwards of [false, true]) {
      const kinds = [{ kind: founder, forwards: false }, { kind, forwards }]
      const result = await run({ operations, forwards }, kinds, (peers) => joinLate(peers, operations))
      if (!result.ok) failed++
    }
  }
  return failed
}

async function runOne(kinds, seed, bursts) {
  const drawn = kinds.split(',').map((kind) => ({ kind, forwards: kind === 'js' || bursts }))
  const result = await run({ seed }, drawn, (peers) => new Course(peers, seed, { bursts }).play())
  return result.ok ? 0 : 1
}

async function main() {
  const [first, second, third] = words
  let failed
  if (first === '--seeds') failed = await runSeeds(Number(second), Number(third))
  else if (first === '--late') failed = await runLate(Number(second))
  else failed = await runOne(first, Number(second), words.includes('-f'))
  process.exit(failed ? 1 : 0)
}

main()
