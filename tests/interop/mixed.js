'use strict'

// Plays one seeded course of events with processes of both kinds and compares where they end.
//   node mixed.js AUTOBEE PEERS SEED [-v] [-f]

const { spawn, execFileSync } = require('child_process')
const fs = require('fs')
const os = require('os')
const path = require('path')
const readline = require('readline')

const [program, kinds, seedText, ...flags] = process.argv.slice(2)
const verbose = flags.includes('-v')
const script = path.join(__dirname, 'json-v1.lua')
const javascript = path.join(__dirname, 'peers', 'autobee-peer.js')
const patience = 120000
const forwards = flags.includes('-f')
const clockKey = Buffer.from('clock').toString('hex')

// the generator of the benchmarks: the same seed plays the same course
let state = Number(seedText) >>> 0
function next() {
  state = (state + 0x9e3779b9) >>> 0
  let z = state
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
  return (z ^ (z >>> 15)) >>> 0
}
const below = (n) => Math.floor((next() * n) / 2 ** 32)
const pick = (list) => list[below(list.length)]
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

class Peer {
  constructor(kind, index, folder) {
    this.kind = kind
    this.name = kind + index
    this.folder = path.join(folder, this.name)
    this.waiting = new Map()
    this.lastId = 0
    this.asked = 0 // appends without an answer
    this.made = false
  }

  // Starts the process and waits for its ready line. `key` is the database's, null for the founder.
  async start(key) {
    if (this.kind === 'c' && !this.made) {
      const how = key ? ['join', key] : ['init']
      execFileSync(program, ['-q', '-C', this.folder, ...how, '--apply', script, ...(forwards ? ['--fast-forward'] : [])])
    }
    this.made = true
    const [command, args] =
      this.kind === 'c'
        ? [program, ['-C', this.folder, 'serve', '--control', '-', '--listen', 'tcp:127.0.0.1:0']]
        : ['node', [javascript, this.folder, ...(key ? [key] : []), '--listen', '127.0.0.1:0']]
    this.process = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] })
    this.errors = ''
    this.process.stderr.on('data', (text) => {
      this.errors += text
      if (verbose) process.stderr.write(this.name + ' ! ' + text)
    })
    this.exited = new Promise((resolve) => this.process.once('exit', resolve))
    const ready = new Promise((resolve, reject) => {
      this.onready = resolve
      this.exited.then(() => reject(new Error(this.name + ' did not start: ' + this.errors)))
    })
    readline.createInterface({ input: this.process.stdout }).on('line', (line) => this.take(line))
    this.process.once('exit', (code, signal) => {
      for (const { reject } of this.waiting.values()) reject(new Error(`${this.name} ended: ${code || signal}\n${this.errors}`))
      this.waiting.clear()
    })
    Object.assign(this, await ready)
  }

  take(line) {
    if (verbose) console.error(this.name, '<', line.slice(0, 300))
    const message = JSON.parse(line)
    if (message.event === 'ready') {
      this.onready({ key: message.key, localKey: message.localKey, port: message.port })
    } else if (message.event === 'error' || message.event === 'halted') {
      this.fault = message.error
    } else if (message.id !== undefined) {
      const { resolve, reject } = this.waiting.get(message.id)
      this.waiting.delete(message.id)
      if (message.ok) resolve(message)
      else reject(new Error(`${this.name}: ${message.error}`))
    }
  }

  ask(command) {
    const id = ++this.lastId
    const line = JSON.stringify({ ...command, id })
    if (verbose) console.error(this.name, '>', line.slice(0, 300))
    return new Promise((resolve, reject) => {
      const silent = () => reject(new Error(`${this.name} does not answer: ${line.slice(0, 100)}`))
      const timer = setTimeout(silent, patience)
      const settled = (settle) => (value) => {
        clearTimeout(timer)
        settle(value)
      }
      this.waiting.set(id, { resolve: settled(resolve), reject: settled(reject) })
      this.process.stdin.write(line + '\n')
    })
  }

  connect(other) {
    return this.ask({ cmd: 'connect', host: '127.0.0.1', port: other.port })
  }

  // Ends the process in order, or at once.
  async stop(killed) {
    if (killed) this.process.kill('SIGKILL')
    else await this.ask({ cmd: 'close' }).catch(() => {})
    await this.exited
  }
}

// Of a state that was adopted, the original knows the order only as far back as it has the blocks.
function knownOrder(order) {
  const gap = order.lastIndexOf(null)
  return order.slice(gap + 1).map((node) => node.join('.'))
}

function sameOrder(a, b) {
  const length = Math.min(a.length, b.length)
  return a.slice(a.length - length).join() === b.slice(b.length - length).join()
}

async function until(what, condition) {
  const end = Date.now() + patience
  for (;;) {
    const found = await condition()
    if (found) return found
    if (Date.now() > end) throw new Error('in vain: ' + what)
    await sleep(100)
  }
}

async function play(peers) {
  const [founder] = peers
  const counts = { appends: 0, values: 0, bursts: 0, meetings: 0, partings: 0, restarts: 0 }
  const writers = new Set([founder])
  const unanswered = []

  await founder.start(null)
  for (const peer of peers.slice(1)) await peer.start(founder.key)

  const append = async (peer, extra) => {
    const values = []
    for (let i = 0; i <= below(3); i++) {
      const put = { [`k${below(20)}`]: `${peer.name} ${counts.values}` }
      values.push({ n: counts.values++, put, ...(below(6) === 0 ? { del: [`k${below(20)}`] } : {}) })
    }
    if (extra) Object.assign(values[0], extra)
    counts.appends++
    // the original, after a fast-forward, may need a peer for it, and be alone
    const appended = peer.ask({ cmd: 'append', values })
    unanswered.push(appended)
    peer.asked++
    appended.catch(() => {}).finally(() => peer.asked--)
    await Promise.race([appended, sleep(3000)])
  }

  const grant = async (peer) => {
    await append(founder, { addWriter: peer.localKey, isIndexer: below(2) === 0, weight: 1 + below(3) })
    writers.add(peer)
    await founder.connect(peer)
    await until(peer.name + ' becomes writable', async () => (await peer.ask({ cmd: 'info' })).writable)
  }

  const steps = {
    append: async () => append(pick([...writers])),
    // so much that who was away for it may adopt the state instead of applying it
    burst: async () => {
      const peer = pick([...writers])
      counts.bursts++
      for (let i = 0; i < 40; i++) await append(peer)
    },
    meet: async () => {
      const [a, b] = [pick(peers), pick(peers)]
      if (a === b) return
      counts.meetings++
      await a.connect(b)
    },
    part: async () => {
      counts.partings++
      await pick(peers).ask({ cmd: 'disconnect' })
    },
    restart: async () => {
      const peer = pick(peers)
      // the original ends only once it has what its append needs
      if (peer.kind === 'js' && peer.asked > 0) return
      counts.restarts++
      // the original does not promise to survive being killed
      await peer.stop(peer.kind === 'c' && below(2) === 0)
      await peer.start(founder.key)
    },
    rest: async () => sleep(below(300))
  }
  const chances = ['append', 'append', 'append', 'append', 'append', 'meet', 'meet', 'part', 'rest', 'rest', 'restart']

  await append(founder)
  for (const peer of peers.slice(1)) {
    for (let i = 0; i < 8; i++) await steps[pick(chances)]()
    await grant(peer)
  }
  for (let i = 0; i < 60; i++) await steps[forwards && i % 20 === 10 ? 'burst' : pick(chances)]()

  // all meet, and end alike
  for (const peer of peers) await peer.ask({ cmd: 'disconnect' })
  for (let i = 1; i < peers.length; i++) for (let j = 0; j < i; j++) await peers[i].connect(peers[j])
  await Promise.all(unanswered)
  let last
  await until('all peers end alike', async () => {
    last = await Promise.all(
      peers.map(async (peer) => {
        const order = await peer.ask({ cmd: 'order' })
        const dump = await peer.ask({ cmd: 'dump' })
        const clock = dump.entries.find(([key]) => key === clockKey)
        return {
          peer: peer.name,
          values: clock ? 1 + Number(Buffer.from(clock[1], 'hex').toString()) : 0,
          order: knownOrder(order.order),
          entries: dump.entries.length,
          view: dump.hash
        }
      })
    )
    const counted = last.every((end) => end.values === counts.values)
    return counted && last.every((end) => sameOrder(end.order, last[0].order) && end.view === last[0].view)
  }).catch((error) => {
    throw Object.assign(error, { ends: last && last.map((end) => ({ ...end, order: end.order.length })) })
  })
  const infos = await Promise.all(peers.map((peer) => peer.ask({ cmd: 'info' })))
  const fastForwards = infos.map((info) => info.stats.fastForwards)
  return { ...counts, fastForwards, nodes: last.map((end) => end.order.length), entries: last[0].entries, view: last[0].view }
}

async function main() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'autobee-mixed-'))
  const peers = kinds.split(',').map((kind, i) => new Peer(kind, i, folder))
  const start = Date.now()
  let result
  try {
    result = { ok: true, ...(await play(peers)) }
  } catch (error) {
    result = { ok: false, error: error.message, ends: error.ends, faults: peers.map((peer) => peer.fault || null) }
  }
  for (const peer of peers) if (peer.process && peer.process.exitCode === null) await peer.stop(!result.ok)
  if (result.ok) fs.rmSync(folder, { recursive: true })
  else result.folder = folder
  console.log(JSON.stringify({ peers: kinds, seed: Number(seedText), seconds: (Date.now() - start) / 1000, ...result }))
  process.exit(result.ok ? 0 : 1)
}

main()
