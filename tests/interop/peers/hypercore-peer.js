#!/usr/bin/env node
'use strict'

// One side of a replication over plain TCP, made of the npm packages. It can
// serve or fetch, listen or connect, and says what happened as one JSON line.
// See ../README.md for the options.

const net = require('net')
const fs = require('fs')
const os = require('os')
const path = require('path')
const Corestore = require('corestore')
const Hypercore = require('hypercore')
const NoiseSecretStream = require('@hyperswarm/secret-stream')
const Wakeup = require('protomux-wakeup')
const readline = require('readline')
const sodium = require('sodium-universal')

const opts = parse(process.argv.slice(2))
const role = opts.role || (opts.key ? 'fetch' : 'serve')
const started = Date.now()
const say = (o) => process.stdout.write(JSON.stringify(o) + '\n')
const note = (...a) => opts.verbose && console.error(((Date.now() - started) / 1000).toFixed(3), ...a)

function parse(argv) {
  const o = {}
  for (let i = 0; i < argv.length; i++) {
    const name = argv[i].replace(/^--/, '')
    const next = argv[i + 1]
    if (next === undefined || next.startsWith('--')) o[name] = true
    else {
      o[name] = next
      i++
    }
  }
  return o
}

function list(text) {
  const res = []
  for (const p of String(text).split(',')) {
    const [a, b] = p.split('-').map(Number)
    for (let i = a; i <= (b === undefined ? a : b); i++) res.push(i)
  }
  return res
}

function blake(size, ...parts) {
  const out = Buffer.alloc(size)
  sodium.crypto_generichash_batch(out, parts)
  return out
}

// block contents and signing keys follow from --seed, so that any peer can
// know what to expect
function content(seed, index, size) {
  const out = Buffer.alloc(size)
  for (let at = 0, k = 0; at < size; k++) at += blake(64, Buffer.from(seed + '/' + index + '/' + k)).copy(out, at)
  return out
}

function keyPairOf(seed) {
  const publicKey = Buffer.alloc(32)
  const secretKey = Buffer.alloc(64)
  sodium.crypto_sign_seed_keypair(publicKey, secretKey, blake(32, Buffer.from(seed)))
  return { publicKey, secretKey }
}

async function outcome(core) {
  const blocks = {}
  let held = 0
  for (let i = 0; i < core.length; i++) {
    if (!(await core.has(i))) continue
    held++
    if (!opts.quiet) blocks[i] = blake(32, await core.get(i, { raw: true })).toString('hex')
  }
  return {
    key: core.key.toString('hex'),
    fork: core.fork,
    length: core.length,
    contiguousLength: core.contiguousLength,
    byteLength: core.core.state.byteLength,
    treeHash: core.length ? core.core.state.hash().toString('hex') : null,
    held,
    blocks: opts.quiet ? undefined : blocks,
    stats: { ...core.moved, ...core.core.replicator.stats }
  }
}

function count(core) {
  core.moved = { blocksIn: 0, blocksOut: 0 }
  core.on('download', () => core.moved.blocksIn++)
  core.on('upload', () => core.moved.blocksOut++)
}

// "append N", "truncate LENGTH", "end" on stdin, one after the other
async function obey(line, cores, finish) {
  const [command, argument] = line.split(' ')
  if (command === 'end') return finish(null)
  for (const core of cores) {
    if (command === 'truncate') await core.truncate(Number(argument))
    if (command !== 'append') continue
    const batch = []
    const seed = core.seedText + (core.fork ? '/fork' + core.fork : '')
    for (let i = 0; i < Number(argument); i++) batch.push(content(seed, core.length + i, Number(opts.size || 32)))
    await core.append(batch)
  }
}

async function main() {
  const storage = opts.storage || fs.mkdtempSync(path.join(os.tmpdir(), 'hypercore-peer-'))
  const store = new Corestore(storage)
  await store.ready()

  const cores = []
  const perCore = { notDownloadingLinger: opts.linger === undefined ? undefined : Number(opts.linger) }
  if (role === 'serve' && !opts.key) {
    const n = Number(opts.cores || 1)
    for (let c = 0; c < n; c++) {
      const seed = (opts.seed || 'wire-peer') + (c ? '/core' + c : '')
      let core
      if (opts.name) core = store.get({ name: opts.name + (c || ''), ...perCore })
      else {
        const keyPair = keyPairOf(seed)
        core = store.get({ keyPair, manifest: { version: 1, signers: [{ publicKey: keyPair.publicKey }] }, ...perCore })
      }
      await core.ready()
      const size = Number(opts.size || 32)
      const want = Number(opts.blocks || 0)
      while (core.length < want) {
        const batch = []
        for (let i = core.length; i < want && batch.length < 512; i++) batch.push(content(seed, i, size))
        await core.append(batch)
      }
      if (opts.clear) for (const i of list(opts.clear)) await core.clear(i)
      core.seedText = seed
      count(core)
      cores.push(core)
    }
  } else {
    for (const key of String(opts.key).split(',')) {
      const core = store.get({ key: Buffer.from(key, 'hex'), ...perCore })
      await core.ready()
      count(core)
      cores.push(core)
    }
  }

  const wakeup = opts.wakeup ? new Wakeup() : null
  let session = null
  if (wakeup) {
    session = wakeup.session(Buffer.from(opts.wakeup, 'hex'), {
      onpeeradd: () => say({ wakeup: 'peer-add' }),
      onpeerremove: () => say({ wakeup: 'peer-remove' }),
      onpeeractive: (peer) => {
        say({ wakeup: 'peer-active' })
        if (opts.lookup) session.lookup(peer, { hash: null })
      },
      onpeerinactive: () => say({ wakeup: 'peer-inactive' }),
      onlookup: (req, peer, s) => {
        say({ wakeup: 'lookup', hash: req.hash ? req.hash.toString('hex') : null })
        s.announce(
          peer,
          cores.map((c) => ({ key: c.key, length: c.length }))
        )
      },
      onannounce: (list) => say({ wakeup: 'announce', writers: list.map((w) => ({ key: w.key.toString('hex'), length: w.length })) })
    })
  }

  let done = false
  async function finish(error) {
    if (done) return
    done = true
    const seconds = (Date.now() - started) / 1000
    const results = []
    for (const c of cores) results.push(await outcome(c))
    say({ ok: !error, error: error || null, role, seconds, ...results[0], cores: results.length > 1 ? results : undefined })
    const code = error ? 1 : 0
    setTimeout(() => process.exit(code), Number(opts['exit-delay'] || 100))
  }
  process.on('SIGTERM', () => finish(null))
  process.on('SIGINT', () => finish(null))
  const commands = readline.createInterface({ input: process.stdin })
  let work = Promise.resolve()
  commands.on('line', (line) => (work = work.then(() => obey(line, cores, finish))))
  commands.on('close', () => finish(null))
  if (opts.timeout) setTimeout(() => finish(role === 'fetch' ? 'timeout' : null), Number(opts.timeout)).unref()

  function attach(socket, isInitiator) {
    socket.setNoDelay(true)
    const stream = new NoiseSecretStream(isInitiator, socket)
    stream.on('error', (err) => {
      note('stream error', err.message)
      if (role === 'fetch') finish(err.message)
    })
    stream.on('close', () => {
      note('stream closed')
      if (opts.once) finish(null)
      else if (role === 'fetch') finish('connection closed')
    })
    store.replicate(stream)
    if (wakeup) wakeup.addStream(stream)
    return stream
  }

  if (opts.listen !== undefined) {
    const server = net.createServer((s) => attach(s, opts.initiator === 'yes'))
    await new Promise((resolve) => server.listen(Number(opts.listen), opts.host || '127.0.0.1', resolve))
    say({ listening: server.address().port, keys: cores.map((c) => c.key.toString('hex')), length: cores[0].length })
  } else {
    const [host, port] = String(opts.connect).split(':')
    attach(net.connect(Number(port), host), opts.initiator !== 'no')
    say({ connecting: opts.connect, keys: cores.map((c) => c.key.toString('hex')), length: cores[0].length })
  }

  if (role === 'fetch') {
    try {
      for (const core of cores) {
        if (opts.get) {
          const got = await Promise.all(list(opts.get).map((i) => core.get(i, { raw: true, timeout: opts.timeout ? Number(opts.timeout) : 0 })))
          note('got', got.length, 'blocks')
          continue
        }
        if (opts.seek !== undefined) {
          const res = await core.seek(Number(opts.seek))
          say({ seek: Number(opts.seek), result: res })
          continue
        }
        const until = Number(opts.until || 1)
        core.download({ start: 0, end: -1, linear: !!opts.linear })
        let told = ''
        for (;;) {
          const complete = core.contiguousLength === core.length
          if (complete && told !== core.length + ' ' + core.fork) {
            told = core.length + ' ' + core.fork
            say({ core: core.key.toString('hex'), complete: core.length, fork: core.fork })
          }
          if (complete && core.length >= until && core.fork >= Number(opts['until-fork'] || 0)) break
          await new Promise((resolve) => setTimeout(resolve, 2))
          if (done) return
        }
      }
      if (opts.stay) await new Promise((resolve) => setTimeout(resolve, Number(opts.stay)))
      await finish(null)
    } catch (err) {
      await finish(err.message)
    }
  }
}

main().catch((err) => {
  say({ ok: false, error: err.message })
  process.exit(1)
})
