'use strict'

// Two writers of one database, processes of our program, write while they are apart, so that their views are reordered
// when they meet. Readers made of hyperbee2 and corestore replicate the view cores and must see what `dump`, `get` and
// `range` say: live all the time, late, sparsely, encrypted, across cores, and every view that was ever shown.

const { execFileSync } = require('child_process')
const fs = require('fs')
const net = require('net')
const path = require('path')
const Corestore = require('corestore')
const Hyperbee = require('hyperbee2')
const sodium = require('sodium-universal')
const { Controlled, Draws, limits, until } = require('./control')

const ROOT = path.join(__dirname, '..', '..')
const ROUNDS = 5
const KEYS = 1000
const options = parse(process.argv.slice(2))

function parse(args) {
  const o = { program: null, seed: 1, verbose: false, cases: [] }
  while (args.length) {
    const arg = args.shift()
    if (arg === '--program') o.program = args.shift()
    else if (arg === '--seed') o.seed = Number(args.shift())
    else if (arg === '-v') o.verbose = true
    else o.cases.push(arg)
  }
  return o
}

function check(holds, text) {
  if (!holds) throw new Error(text)
}

const hex = (buffer) => buffer.toString('hex')
const unhex = (text) => Buffer.from(text, 'hex')

// ---- writers ----

class Writer extends Controlled {
  constructor(world, name) {
    super(name, options.verbose)
    this.folder = path.join(world.folder, name)
  }

  // Made with `how`, `init …` or `join KEY …`; then it serves.
  async start(how, environment) {
    const env = { ...process.env, ...environment }
    execFileSync(options.program, ['-q', '-C', this.folder, ...how], { env })
    await this.run(options.program, ['-C', this.folder, 'serve', '--control', '-', '--listen', 'tcp:127.0.0.1:0'])
  }

  async view() {
    const [key, length] = (await this.ask({ cmd: 'info' })).view
    return { key, length }
  }

  async entries() {
    return (await this.ask({ cmd: 'dump' })).entries
  }
}

// ---- readers ----

// A store that replicates with one writer, and the view core it is asked for.
class Reader {
  constructor(world, name, writer, key) {
    this.store = new Corestore(path.join(world.folder, name))
    const encryption = world.blockKey ? { key: world.blockKey, block: true } : null
    const timeout = limits.patienceMs // for a block
    this.bee = new Hyperbee(this.store, { key: unhex(key), encryption, writable: false, autoUpdate: true, timeout })
    this.port = writer.port
    this.closing = false
  }

  static async open(...args) {
    const reader = new Reader(...args)
    await reader.bee.ready()
    reader.dial()
    return reader
  }

  // A writer that parts from the other one parts from its readers, too.
  dial() {
    if (this.closing) return
    const socket = net.connect(this.port, '127.0.0.1')
    const stream = this.store.replicate(true)
    socket.setNoDelay(true)
    for (const end of [socket, stream]) end.on('error', () => {})
    socket.on('close', () => {
      stream.destroy()
      setTimeout(() => this.dial(), 20)
    })
    stream.on('close', () => socket.destroy())
    socket.pipe(stream).pipe(socket)
  }

  // The bee as it was at a head that the program named; the length has to come over the wire first.
  async at({ key, length }) {
    if (key === hex(this.bee.core.key)) {
      await until(`length ${length} of the view core`, () => this.bee.core.length >= length, 10)
      return this.bee.checkout({ length })
    }
    return this.bee.checkout({ key: unhex(key), length })
  }

  async close() {
    this.closing = true
    await this.store.close()
  }
}

async function list(bee, range) {
  const entries = []
  for await (const { key, value } of bee.createReadStream(range)) entries.push([hex(key), hex(value)])
  return entries
}

function compare(what, ours, theirs) {
  const at = ours.findIndex((entry, i) => String(entry) !== String(theirs[i]))
  if (at < 0 && ours.length === theirs.length) return
  const show = (entry) => (entry ? entry.map((text) => unhex(text).toString().slice(0, 40)).join(' = ') : 'nothing')
  const first = at < 0 ? ours.length : at
  throw new Error(
    `${what}: ${ours.length} and ${theirs.length} entries, number ${first} is ${show(ours[first])} and ${show(theirs[first])}`
  )
}

// Every entry, by the head that the writer names and by the length of the core.
async function compareAll(world, writer, reader) {
  const head = await writer.view()
  const entries = await writer.entries()
  compare(`${writer.name} at ${head.length}`, entries, await list(await reader.at(head)))
  if (head.key === hex(reader.bee.core.key)) compare(`${writer.name}, as it comes`, entries, await list(reader.bee))
  check(reader.bee.core.fork === 0, 'the view core was truncated')
  world.shown.push({ head, entries })
  return head
}

const LOWER = ['gt', 'gte']
const UPPER = ['lt', 'lte']

// Single keys, there or not, and ranges of all kinds.
async function compareSome(world, writer, reader, head) {
  const bee = await reader.at(head)
  for (let i = 0; i < 8; i++) {
    const key = world.key()
    const ours = await writer.ask({ cmd: 'get', keyHex: hex(key) })
    const theirs = await bee.get(key)
    check((theirs && hex(theirs.value)) === ours.valueHex, `get ${key}: ${ours.valueHex} and ${theirs && hex(theirs.value)}`)
  }
  for (let i = 0; i < 6; i++) {
    const ours = { cmd: 'range', reverse: world.draws.below(2) === 0 }
    const theirs = { reverse: ours.reverse }
    const keys = [world.key(), world.key()].sort(Buffer.compare)
    for (const bounds of [LOWER, UPPER]) {
      const bound = world.draws.pick(bounds)
      const key = keys.shift()
      if (world.draws.below(4) === 0) continue
      theirs[bound] = key
      ours[bound + 'Hex'] = hex(key)
    }
    if (world.draws.below(2) === 0) ours.limit = theirs.limit = 1 + world.draws.below(5)
    compare(`range ${JSON.stringify(ours)}`, (await writer.ask(ours)).entries, await list(bee, theirs))
  }
}

// ---- the database ----

class World {
  constructor(name) {
    this.folder = fs.mkdtempSync(path.join(ROOT, 'build', 'interop', 'view-'))
    this.draws = new Draws(options.seed)
    this.script = name.startsWith('script') ? path.join(__dirname, 'json-v1.lua') : null
    this.blockKey = null
    this.shown = [] // heads of views with their entries
    this.writers = [new Writer(this, 'a'), new Writer(this, 'b')]
    this.written = 0
  }

  key() {
    return Buffer.from(`k${this.draws.below(KEYS)}`)
  }

  // So many keys at once that the tree has several levels.
  async fill(writer) {
    const put = {}
    for (let i = 0; i < KEYS; i += 2) put['k' + i] = this.value(writer)
    await writer.ask({ cmd: 'append', value: { put } })
  }

  // Values of all sizes: from 1024 bytes on they stand beside the tree.
  value(writer) {
    return `${writer.name} ${this.written++} ` + 'x'.repeat(this.draws.pick([0, 0, 10, 300, 1500]))
  }

  async write(writer) {
    const key = this.key().toString()
    if (this.script) {
      const value = { put: { [key]: this.value(writer) } }
      if (this.draws.below(5) === 0) value.del = [this.key().toString()]
      await writer.ask({ cmd: 'append', value })
    } else if (this.draws.below(5) === 0) {
      await writer.ask({ cmd: 'del', key })
    } else {
      await writer.ask({ cmd: 'put', key, value: this.value(writer) })
    }
  }

  // Draws who writes, so that none of the two is always first.
  async writeApart(count) {
    for (let i = 0; i < count; i++) await this.write(this.draws.pick(this.writers))
  }

  async part() {
    await this.writers[1].ask({ cmd: 'disconnect' })
  }

  async meet() {
    const [a, b] = this.writers
    await b.connect(a)
    await until('both have the same', async () => {
      await Promise.all(this.writers.map((writer) => writer.ask({ cmd: 'wait', synced: true, quietMs: 0 })))
      const hashes = await Promise.all(this.writers.map((writer) => writer.ask({ cmd: 'order' })))
      return hashes[0].hash === hashes[1].hash
    })
    compare('a and b', await a.entries(), await b.entries())
  }

  // `joins`: options of join; `before`: operations of a before b joins.
  async found({ encrypt = false, joins = [], before = 0 } = {}) {
    const [a, b] = this.writers
    const rule = this.script ? ['--apply', this.script] : []
    await a.start(['init', ...rule, ...(encrypt ? ['--encrypt'] : [])])
    await this.fill(a)
    for (let i = 0; i < before; i++) await this.write(a)
    const kept = encrypt ? fs.readFileSync(path.join(a.folder, 'encryption-key'), 'latin1').trim() : null
    await b.start(['join', a.key, ...rule, ...joins, ...(kept ? ['--keep-key'] : [])], kept && { AUTOBEE_ENCRYPTION_KEY: kept })
    if (encrypt) this.blockKey = viewBlockKey(a.key, kept)
    await a.ask({ cmd: 'addWriter', key: b.localKey, weight: 1 + this.draws.below(2) })
    await b.connect(a)
    await b.ask({ cmd: 'wait', writable: true })
  }

  async end() {
    for (const writer of this.writers) if (writer.process) await writer.stop(false)
    fs.rmSync(this.folder, { recursive: true, force: true, maxRetries: 10 })
  }
}

// The key that all view cores of an encrypted database share.
function viewBlockKey(databaseKey, encryptionKey) {
  const namespace = unhex('0c246ba8c6b578479ac948d37bf94a7153a05321638b46534b5a7f8ff73b02d4') // of block keys
  const key = Buffer.alloc(32)
  sodium.crypto_generichash_batch(key, [namespace, unhex(databaseKey), decodeKey(encryptionKey), Buffer.from('view')])
  return key
}

// 52 characters of z-base-32
function decodeKey(text) {
  const bits = [...text].map((c) => 'ybndrfg8ejkmcpqxot1uwisza345h769'.indexOf(c).toString(2).padStart(5, '0')).join('')
  return Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)))
}

// ---- cases ----

async function rounds(world, readers) {
  for (let round = 0; round < ROUNDS; round++) {
    await world.part()
    await world.writeApart(4 + world.draws.below(10))
    for (const [i, reader] of readers.entries()) await compareAll(world, world.writers[i], reader)
    await world.meet()
    for (const [i, reader] of readers.entries()) {
      const head = await compareAll(world, world.writers[i], reader)
      await compareSome(world, world.writers[i], reader, head)
    }
  }
}

// With a reader from the start on; then with one that comes late, and sees every view that was shown before.
async function reordered(world, founding) {
  await world.found(founding)
  const readers = []
  for (const writer of world.writers) {
    readers.push(await Reader.open(world, 'live-' + writer.name, writer, (await writer.view()).key))
  }
  await rounds(world, readers)
  for (const reader of readers) await reader.close()

  const infos = await Promise.all(world.writers.map((writer) => writer.ask({ cmd: 'info' })))
  const undos = infos.reduce((sum, info) => sum + info.stats.undos, 0)
  check(undos >= ROUNDS / 2, `only ${undos} reorders`)

  for (const writer of world.writers) {
    const { key } = await writer.view()
    const late = await Reader.open(world, 'late-' + writer.name, writer, key)
    for (const { head, entries } of world.shown) {
      if (head.key === key) compare(`the view at ${head.length}`, entries, await list(await late.at(head)))
    }
    await late.close()
  }
  return `${world.shown.length} views of ${world.written} operations, ${undos} reorders`
}

// Single keys only: a part of the blocks comes over the wire.
async function sparse(world) {
  const [a] = world.writers
  await world.found()
  await world.part()
  await world.writeApart(300)
  await world.meet()
  const head = await a.view()
  const reader = await Reader.open(world, 'sparse', a, head.key)
  const bee = await reader.at(head)
  const entries = new Map(await a.entries())
  for (let i = 0; i < 2; i++) {
    const key = world.key()
    const entry = await bee.get(key)
    check((entry ? hex(entry.value) : undefined) === entries.get(hex(key)), 'get ' + key)
  }
  let held = 0
  for (let i = 0; i < head.length; i++) held += await reader.bee.core.has(i)
  await reader.close()
  check(held > 0 && held * 2 < head.length, `${held} of ${head.length} blocks came`)
  return `${held} of ${head.length} blocks`
}

// Who fast-forwarded goes on with the other's view in a core of its own: the reader finds the first through the second.
async function acrossCores(world) {
  const [a, b] = world.writers
  await world.found({ joins: ['--fast-forward'], before: 100 })
  await world.meet()
  const adopted = await b.view()
  check((await b.ask({ cmd: 'info' })).stats.fastForwards > 0 && adopted.key === (await a.view()).key, 'b did not fast-forward')
  await world.write(b)
  const own = await b.view()
  check(own.key !== adopted.key, 'b writes into a core that is not its own')
  const reader = await Reader.open(world, 'across', b, own.key)
  await compareAll(world, b, reader)
  await rounds(world, [])
  const head = await compareAll(world, b, reader)
  await compareSome(world, b, reader, head)
  await reader.close()
  return `${adopted.length} blocks of another core, ${head.length} of its own`
}

const cases = {
  'policy/reordered': (world) => reordered(world),
  'script/reordered': (world) => reordered(world),
  'policy/encrypted': (world) => reordered(world, { encrypt: true }),
  'policy/sparse': sparse,
  'script/across-cores': acrossCores
}

async function main() {
  if (!options.program) {
    execFileSync(path.join(ROOT, 'tests', 'build'), ['asan', 'autobee_program'], { stdio: ['ignore', 'ignore', 'inherit'] })
    options.program = path.join(ROOT, 'build', 'asan', 'bin', 'autobee')
  }
  const names = options.cases.length ? options.cases : Object.keys(cases)
  let failed = 0
  for (const name of names) {
    const began = Date.now()
    const world = new World(name)
    try {
      check(cases[name], 'there is no such case; there are ' + Object.keys(cases).join(', '))
      const figures = await cases[name](world)
      await world.end()
      console.log(`ok      ${name.padEnd(22)} ${figures} (${((Date.now() - began) / 1000).toFixed(1)} s)`)
    } catch (error) {
      failed++
      console.log(`FAILED  ${name}: ${error.message} (seed ${options.seed}, ${world.folder})`)
    }
  }
  console.log(failed ? failed + ' failed' : `all ${names.length} as they should be`)
  process.exit(failed ? 1 : 0)
}

main()
