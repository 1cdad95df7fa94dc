'use strict'

// Ways to break the protocol, each with what is to become of the connection: the code that it ends with at our side,
// or STAYS. Each connects to { port, key }, a peer of ours and its core, and returns the socket.

const net = require('net')
const { Mux } = require('./peers/wire/mux')
const { Handshake, keyPair } = require('./peers/wire/noise')
const { CorePeer, PROTOCOL } = require('./peers/wire/replicator')
const { SecureStream, generichash } = require('./peers/wire/stream')
const { MemoryCore, capability, discoveryKey } = require('./peers/wire/tree')
const { Writer, hypercore } = require('./peers/wire/codec')

const STAYS = null
const FRAME_MAX = 0xffffff

const once = (emitter, event) => new Promise((resolve) => emitter.once(event, resolve))
const prefix = (length) => Buffer.from([length & 255, (length >> 8) & 255, length >> 16])
const unknown = (i) => generichash([Buffer.from('unknown ' + i)])

// --- how far it gets before `act` ---

async function connect(target) {
  const socket = net.connect(target.port, '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.name = 'tcp:127.0.0.1:' + socket.localPort // what our side calls it
  return socket
}

async function secure(target, opts) {
  const stream = new SecureStream(await connect(target), true, opts)
  await once(stream, 'open')
  return stream
}

const connected = (act) => async (target) => {
  const socket = await connect(target)
  act(socket)
  return socket
}

const shaken = (act) => async (target) => {
  const stream = await secure(target)
  await act(stream, target)
  return stream.socket
}

// The core's channel, paired. `next` waits for a message of this name.
const paired = (act) => async (target) => {
  const stream = await secure(target)
  const waiting = new Set()
  const spec = { protocol: PROTOCOL, id: discoveryKey(target.key), codec: hypercore }
  spec.onmessage = (name) => waiting.forEach((w) => w(name))
  const opened = new Promise((resolve) => (spec.onopen = resolve))
  const ch = new Mux(stream).open(spec, { seeks: true, capability: capability(true, target.key, stream.handshakeHash) })
  await opened
  const next = (wanted) =>
    new Promise((resolve) => {
      const w = (name) => name === wanted && waiting.delete(w) && resolve()
      waiting.add(w)
    })
  await act({ stream, socket: stream.socket, ch, next })
  return stream.socket
}

// --- what it says ---

const request = (id, fields) => ({ id, fork: 0, block: null, hash: null, seek: null, upgrade: null, manifest: false, priority: 0, ...fields })
const block = (id, index = 0, nodes = 0) => request(id, { block: { index, nodes } })
const hash = (id, index) => request(id, { hash: { index, nodes: 0 } })
const open = (id, key) => new Writer().uint(0).uint(1).uint(id).string(PROTOCOL).optBlob(key).uint(1).bytes(Buffer.alloc(32)).end()

// Requests, `window` at a time, each of which must be answered with a message of this name.
const asks = (count, window, make, answer) =>
  paired(async (c) => {
    for (let id = 1; id <= count;) {
      const answers = []
      for (let i = 0; i < window; i++, id++) {
        answers.push(c.next(answer))
        c.ch.send('request', make(id))
      }
      await Promise.all(answers)
    }
  })

function opensUnknownCores(count) {
  return shaken(async (stream) => {
    const mux = new Mux(stream)
    const rejected = []
    for (let i = 0; i < count; i++) {
      const spec = { protocol: PROTOCOL, id: unknown(i), codec: hypercore }
      rejected.push(new Promise((resolve) => (spec.onclose = resolve)))
      mux.open(spec, { seeks: true, capability: Buffer.alloc(32) })
    }
    await Promise.all(rejected)
  })
}

async function saysAbsurdNumbers(c) {
  const numbers = [0, 1, 31, 2 ** 20, 2 ** 32, Number.MAX_SAFE_INTEGER]
  for (const start of numbers) {
    for (const length of numbers) {
      for (const drop of [false, true]) c.ch.send('range', { drop, start, length })
      for (const any of [false, true]) c.ch.send('want', { start, length, any })
      c.ch.send('unwant', { start, length, any: false })
      c.ch.send('cancel', { request: start })
    }
    c.ch.send('bitfield', { start, bits: Buffer.alloc(65536, 0xaa) })
  }
  c.ch.send('request', block(1))
  await c.next('data')
}

// Cores that our peer wants, each with proofs that `change` may replace.
const lies = []

function lie(change) {
  const truth = new MemoryCore({ keyPair: keyPair(generichash([Buffer.from('lie ' + lies.length)])) })
  truth.append(Array.from({ length: 64 }, (_, i) => Buffer.from('block ' + i)))
  lies.push(truth)
  return shaken((stream) => {
    const core = Object.create(truth)
    core.prove = (req) => {
      const proof = truth.prove(req)
      return change(proof) || proof
    }
    new CorePeer(core, new Mux(stream), { window: 1, serveOnly: true }).attach()
  })
}

const lieInUpgrade = (change) => lie((p) => p.upgrade && { ...p, upgrade: { ...p.upgrade, ...change(p.upgrade) } })

function flipped(bytes) {
  const copy = Buffer.from(bytes)
  copy[copy.length >> 1] ^= 1
  return copy
}

// --- the table; numbers are those of sections in the description of the protocol ---

const modes = {
  // deadlines (3.1, 5.6): 10, 10 and 30 s
  'no-handshake': ['AB_ETIMEDOUT', connected(() => {})],
  'half-handshake': ['AB_ETIMEDOUT', connected((socket) => socket.write(Buffer.concat([prefix(32), new Handshake(true).send()])))],
  silence: ['AB_ETIMEDOUT', async (target) => (await secure(target, { keepAlive: 0 })).socket],

  // the handshake (4.3, 4.4, 5.2)
  'other-protocol': ['AB_ECORRUPT', connected((socket) => socket.write('GET / HTTP/1.1\r\n\r\n'))],
  'zero-point': ['AB_ECORRUPT', connected((socket) => socket.write(Buffer.concat([prefix(32), Buffer.alloc(32)])))],
  'long-handshake': ['AB_ECORRUPT', connected((socket) => socket.write(prefix(1025)))],
  'cut-handshake': ['AB_EEND', connected((socket) => socket.end(Buffer.concat([prefix(32), Buffer.alloc(7)])))],
  'wrong-header': [
    'AB_ECORRUPT',
    connected((socket) => {
      const stream = new SecureStream(socket, true)
      stream._established = () => stream._frame(Buffer.alloc(56))
    })
  ],

  // frames (3.2, 5.4, 6)
  'short-frame': ['AB_ECORRUPT', shaken((stream) => stream._frame(Buffer.alloc(16)))],
  'forged-frame': ['AB_ECORRUPT', shaken((stream) => stream._frame(Buffer.alloc(100)))],
  'cut-frame': ['AB_EEND', shaken(({ socket }) => socket.end(Buffer.concat([prefix(FRAME_MAX), Buffer.alloc(FRAME_MAX - 1)])))],
  'biggest-frame': [
    STAYS, // it is for a channel that is not open
    paired((c) => {
      c.stream.write(Buffer.concat([Buffer.from([99, 0]), Buffer.alloc(FRAME_MAX - 17 - 2)]))
      c.ch.send('request', block(1))
      return c.next('data')
    })
  ],
  'no-type': ['AB_ECORRUPT', paired((c) => c.stream.write(Buffer.from([1])))],
  'nested-batches': [
    'AB_ECORRUPT',
    shaken((stream) => {
      let inner = Buffer.alloc(0)
      for (let i = 0; i < 20; i++) inner = new Writer().uint(0).uint(0).blob(inner).end()
      stream.write(new Writer().uint(0).bytes(inner).end())
    })
  ],

  // channels (6.2, 7.2, T24)
  'skipped-channel': ['AB_ECORRUPT', shaken((stream) => stream.write(open(5, unknown(5))))],
  'wrong-capability': ['AB_ECORRUPT', shaken((stream, target) => stream.write(open(1, discoveryKey(target.key))))],
  'unknown-cores': [STAYS, opensUnknownCores(2000)],
  'open-flood': [
    'AB_ETOOBIG',
    shaken((stream) => {
      stream.socket.pause()
      for (let i = 1; i <= 100000; i++) stream.write(open(i, unknown(i)))
    })
  ],

  // messages (6.5, 11.6, T18, T24)
  undecodable: ['AB_ECORRUPT', paired((c) => c.stream.write(Buffer.from([c.ch.localId, 0, 1])))],
  'absurd-numbers': [STAYS, paired(saysAbsurdNumbers)],
  'many-requests': [STAYS, asks(20000, 1000, (id) => hash(id, id % 200), 'data')],
  'refused-requests': [STAYS, asks(2000, 100, (id) => block(id, 0, 60), 'noData')],
  'request-flood': [
    'AB_ETOOBIG',
    paired((c) => {
      c.socket.pause()
      for (let id = 1; id <= 20000; id++) c.ch.send('request', block(id))
    })
  ],
  'never-reads': [
    STAYS,
    paired((c) => {
      c.socket.pause()
      for (let id = 1; id <= 4000; id++) c.ch.send('request', block(id))
    })
  ],

  // proofs (9.4, 10.3, D5)
  'wrong-signature': ['AB_ECORRUPT', lieInUpgrade(({ signature }) => ({ signature: flipped(signature) }))],
  'wrong-node': ['AB_ECORRUPT', lieInUpgrade(({ nodes }) => ({ nodes: nodes.map((n) => ({ ...n, hash: flipped(n.hash) })) }))],
  'wrong-length': ['AB_ECORRUPT', lieInUpgrade(() => ({ length: 2 ** 40 }))],
  'wrong-block': ['AB_ECORRUPT', lie((p) => p.block && { ...p, block: { ...p.block, value: flipped(p.block.value) } })]
}

module.exports = { STAYS, modes, lies }
