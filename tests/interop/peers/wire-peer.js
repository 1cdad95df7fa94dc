#!/usr/bin/env node
'use strict'

// A small peer built from the protocol document alone, for debugging the other
// end of a connection frame by frame. See ../README.md for the options.

const net = require('net')
const { SecureStream, generichash } = require('./wire/stream')
const { Mux } = require('./wire/mux')
const { keyPair } = require('./wire/noise')
const { MemoryCore } = require('./wire/tree')
const { CorePeer, PROTOCOL } = require('./wire/replicator')
const { WakeupPeer } = require('./wire/wakeup')

const opts = parse(process.argv.slice(2))

function parse(argv) {
  const o = { window: 48 }
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

function content(seed, index, size) {
  const out = Buffer.alloc(size)
  for (let at = 0, k = 0; at < size; k++) {
    const chunk = generichash([Buffer.from(seed + '/' + index + '/' + k)], null, 64)
    at += chunk.copy(out, at)
  }
  return out
}

const role = opts.role || (opts.key ? 'fetch' : 'serve')
let core
if (role === 'serve') {
  core = new MemoryCore({ keyPair: keyPair(generichash([Buffer.from(opts.seed || 'wire-peer')])) })
  const values = []
  for (let i = 0; i < Number(opts.blocks || 0); i++) values.push(content(opts.seed || 'wire-peer', i, Number(opts.size || 32)))
  if (values.length) core.append(values)
  if (opts.hold) {
    const hold = new Set(list(opts.hold))
    for (const i of [...core.blocks.keys()]) if (!hold.has(i)) core.blocks.delete(i)
    core.contiguous = 0
    core._bump()
  }
} else {
  core = new MemoryCore({ key: Buffer.from(opts.key, 'hex') })
}

const behaviour = {
  window: Number(opts.window),
  serveOnly: role === 'serve',
  downloading: opts['not-downloading'] ? false : true,
  noRange: !!opts['no-range'],
  noAck: !!opts['no-ack'],
  noWantReply: !!opts['no-want-reply'],
  noAnswer: !!opts['no-answer'],
  noSeeks: !!opts['no-seeks'],
  corrupt: opts.corrupt ? new Set(list(opts.corrupt)) : null
}

const started = Date.now()
const peers = new Set()
let newest = null

function connect(socket, initiator) {
  socket.setNoDelay(true)
  const stream = new SecureStream(socket, initiator, {})
  const mux = new Mux(stream)
  if (opts.trace) {
    mux.trace = (dir, ch, name, value) => {
      const v = JSON.stringify(value, (k, x) => (x && x.type === 'Buffer' ? Buffer.from(x.data).toString('hex').slice(0, 64) : x))
      console.error(String(Date.now() - started).padStart(6), dir, ch.protocol, name, v)
    }
  }
  const peer = new CorePeer(core, mux, behaviour)
  peers.add(peer)
  newest = peer
  const wake = opts.wakeup ? new WakeupPeer(mux, Buffer.from(opts.wakeup, 'hex')) : null
  if (wake) {
    wake.onready = () => opts.lookup && wake.lookup()
    wake.onlookup = () => wake.announce([{ key: core.key, length: core.length }])
    wake.onannounce = (list) => console.log(JSON.stringify({ wakeup: 'announce', writers: list.map((w) => ({ key: w.key.toString('hex'), length: w.length })) }))
  }
  mux.onunknown = (protocol, id, remoteId) => {
    if (wake && protocol === 'wakeup' && id && id.equals(wake.id)) {
      wake.attach(remoteId)
      return true
    }
    if (protocol !== PROTOCOL || !id || !id.equals(core.discoveryKey)) return false
    peer.attach(remoteId)
    return true
  }
  stream.on('open', () => {
    mux.cork()
    if (wake) wake.attach()
    peer.attach()
    mux.uncork()
  })
  stream.on('close', (err) => {
    peers.delete(peer)
    if (opts.trace) console.error('closed', err ? err.message : '')
    if (role === 'fetch') finish(peer, err ? err.message : 'connection closed')
    else if (opts.once) finish(peer, null)
  })
  if (role === 'fetch') fetchAll(peer)
}

function fetchAll(peer) {
  const only = opts.get ? list(opts.get) : null
  const target = opts.until ? Number(opts.until) : 0
  const check = () => {
    if (only) {
      if (only.every((i) => core.has(i))) finish(peer, null)
    } else if (core.length >= Math.max(1, target) && core.fork >= Number(opts['until-fork'] || 0) && core.contiguous === core.length) finish(peer, null)
  }
  peer.onupgrade = () => {
    peer.get(only || [...Array(core.length).keys()])
    check()
  }
  peer.onblock = check
  if (opts.timeout) setTimeout(() => finish(peer, 'timeout'), Number(opts.timeout))
}

let finished = false
function finish(peer, error) {
  if (finished) return
  finished = true
  const blocks = {}
  for (const i of [...core.blocks.keys()].sort((a, b) => a - b)) blocks[i] = generichash([core.blocks.get(i)]).toString('hex')
  console.log(
    JSON.stringify({
      ok: !error,
      error: error || null,
      role,
      key: core.key.toString('hex'),
      fork: core.fork,
      length: core.length,
      treeHash: core.length ? core.hash().toString('hex') : null,
      blocks: opts.quiet ? Object.keys(blocks).length : blocks,
      stats: peer && peer.stats,
      seconds: (Date.now() - started) / 1000
    })
  )
  setTimeout(() => process.exit(error ? 1 : 0), Number(opts.linger || 50))
}

process.on('SIGTERM', () => finish(newest, null))
process.stdin.on('end', () => finish(newest, null)).resume()

if (opts.listen !== undefined) {
  const server = net.createServer((s) => connect(s, false))
  server.listen(Number(opts.listen), '127.0.0.1', () => {
    console.log(JSON.stringify({ listening: server.address().port, key: core.key.toString('hex'), discoveryKey: core.discoveryKey.toString('hex'), length: core.length }))
  })
} else {
  const [host, port] = String(opts.connect).split(':')
  connect(net.connect(Number(port), host), true)
  if (role === 'serve') console.log(JSON.stringify({ key: core.key.toString('hex'), discoveryKey: core.discoveryKey.toString('hex'), length: core.length }))
}

if (opts['append-every']) {
  let left = Number(opts.appends || 1)
  const t = setInterval(() => {
    if (left-- <= 0) return clearInterval(t)
    core.append([content(opts.seed || 'wire-peer', core.length, Number(opts.size || 32))])
    for (const p of peers) p.changed()
  }, Number(opts['append-every']))
}
if (opts['truncate-at']) {
  setTimeout(() => {
    const before = core.length
    const to = Number(opts['truncate-to'])
    core.truncate(to)
    for (const p of peers) p.changed(to, before)
  }, Number(opts['truncate-at']))
}
