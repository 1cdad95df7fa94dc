'use strict'

// Peers as child processes that are told what to do and say what happened in
// lines of JSON, and what run.js and hostile.js share besides.

const { spawn, execFileSync } = require('child_process')
const fs = require('fs')
const net = require('net')
const path = require('path')

const ROOT = path.join(__dirname, '..', '..')
const WORK = path.join(ROOT, 'build', 'interop')
const PATIENCE_MS = 60000 // of one wait; only stops what hangs

// --peer PROGRAM, --seed N, names of cases
const options = { peer: null, seed: 1, cases: [] }
for (let i = 2; i < process.argv.length; i++) {
  const name = process.argv[i]
  if (name === '--peer' || name === '--seed') options[name.slice(2)] = process.argv[++i]
  else if (name.startsWith('-')) {
    console.error('no such option: ' + name)
    process.exit(2)
  } else options.cases.push(name)
}
if (options.peer === null) {
  execFileSync(path.join(ROOT, 'tests', 'build'), ['asan', 'interop_peer'], { stdio: ['ignore', 'ignore', 'inherit'] })
  options.peer = path.join(ROOT, 'build', 'asan', 'bin', 'interop_peer')
}

function check(holds, text) {
  if (!holds) throw new Error(text)
}

function within(promise, what) {
  let timer
  const late = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Error('nothing happened for ' + PATIENCE_MS / 1000 + ' s: ' + what())), PATIENCE_MS)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

class Peer {
  constructor(command, args) {
    this.name = path.basename(command === process.execPath ? args[0] : command)
    this.lines = []
    this.waiting = new Set()
    this.errors = ''
    this.child = spawn(command, args, { env: { ...process.env, NODE_PATH: path.join(WORK, 'node_modules') } })
    Peer.all.add(this)
    let rest = ''
    this.child.stdout.on('data', (data) => {
      const lines = (rest + data).split('\n')
      rest = lines.pop()
      for (const line of lines) this._line(JSON.parse(line))
    })
    this.child.stderr.on('data', (data) => (this.errors = (this.errors + data).slice(-8000)))
    this.child.stdin.on('error', () => {}) // it is gone: its exit tells
    this.exited = new Promise((resolve) =>
      this.child.on('close', (code, signal) => {
        Peer.all.delete(this)
        this.code = signal || code
        for (const w of this.waiting) w.reject(new Error(this.name + ' ended (' + this.code + ') before ' + w.what + '\n' + this.errors))
        resolve()
      })
    )
  }

  _line(line) {
    this.lines.push(line)
    for (const w of this.waiting) if (w.test(line)) w.resolve(line)
  }

  // the first line, past or to come, that passes the test
  line(what, test) {
    const past = this.lines.find(test)
    if (past) return Promise.resolve(past)
    if (this.code !== undefined) return Promise.reject(new Error(this.name + ' ended before ' + what + '\n' + this.errors))
    let w
    const promise = new Promise((resolve, reject) => this.waiting.add((w = { what, test, resolve, reject })))
    return within(promise, () => this.name + ', waiting for ' + what).finally(() => this.waiting.delete(w))
  }

  async port() {
    return (await this.line('listening', (l) => l.listening)).listening
  }

  async keys() {
    return (await this.line('keys', (l) => l.keys)).keys
  }

  complete(length, fork = 0) {
    return this.line('length ' + length + ' fork ' + fork, (l) => l.complete === length && l.fork === fork)
  }

  say(text) {
    this.child.stdin.write(text + '\n')
  }

  // how it ended; `fails` if it may say that something went wrong
  async outcome(fails = false) {
    await within(this.exited, () => this.name + ', waiting for its end')
    const last = this.lines[this.lines.length - 1] || {}
    check(fails || (this.code === 0 && last.ok), this.name + ' ended with ' + this.code + ': ' + JSON.stringify(last).slice(0, 300) + '\n' + this.errors)
    return last
  }

  end(fails = false) {
    this.child.kill('SIGTERM')
    return this.outcome(fails)
  }

  memory() {
    const status = fs.readFileSync('/proc/' + this.child.pid + '/status', 'latin1')
    const of = (name) => Number(new RegExp(name + ':\\s+(\\d+)').exec(status)[1]) / 1024
    return { peak: of('VmHWM'), now: of('VmRSS') }
  }
}
Peer.all = new Set()

process.on('exit', () => {
  for (const peer of Peer.all) peer.child.kill('SIGKILL')
})
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => process.exit(1))

// { until: 5, quiet: true } → --until 5 --quiet
function args(fields) {
  const list = []
  for (const [name, value] of Object.entries(fields)) {
    if (value === false || value === undefined) continue
    list.push('--' + name)
    if (value !== true) list.push(String(value))
  }
  return list
}

const script = (name) => (fields) => new Peer(process.execPath, [path.join(__dirname, 'peers', name), ...args(fields)])
const wire = script('wire-peer.js')
const start = {
  ours: (fields) => new Peer(options.peer, args(fields)),
  // each gets a folder of its own: what it would choose itself would be left over
  js: (fields) => script('hypercore-peer.js')({ role: fields.key ? 'fetch' : 'serve', storage: folder(), ...fields })
}

let folders = 0
fs.mkdirSync(WORK, { recursive: true })
const base = fs.mkdtempSync(path.join(WORK, 'run-'))
process.on('exit', () => fs.rmSync(base, { recursive: true, force: true, maxRetries: 10 }))
function folder() {
  return path.join(base, String(++folders))
}

// a small generator with a seed (mulberry32): 0 <= x < n
function random(seed) {
  let a = seed >>> 0
  return (n) => {
    a = (a + 0x6d2b79f5) >>> 0
    let t = Math.imul(a ^ (a >>> 15), a | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) % n
  }
}

// Passes connections on to a port, and cuts each when the answers have come to the next of `cuts` bytes.
async function proxy(port, cuts) {
  const left = [...cuts]
  const waiting = [] // for the n-th cut, at n - 1
  const cutAt = cuts.map((_, i) => new Promise((resolve) => (waiting[i] = resolve)))
  const server = net.createServer((near) => {
    const far = net.connect(port, '127.0.0.1')
    const limit = left.length ? left[0] : Infinity
    let passed = 0
    const cut = () => {
      near.destroy()
      far.destroy()
    }
    for (const [from, to] of [
      [near, far],
      [far, near]
    ]) {
      from.setNoDelay(true)
      from.on('error', cut)
      from.on('end', () => to.end())
      from.on('data', (data) => {
        if (from === far) passed += data.length
        if (passed < limit) return to.write(data)
        if (near.destroyed) return
        cut()
        left.shift()
        waiting.shift()()
      })
    }
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  server.unref()
  return { port: server.address().port, cut: (n) => cutAt[n - 1], close: () => server.close() }
}

// Runs the cases that were asked for, all of them by default, some at a time, and ends this process.
// `last` is one more check, when they are over.
async function main(cases, atOnce, last) {
  const names = options.cases.length ? options.cases : Object.keys(cases)
  const waiting = [...names]
  let failed = 0
  async function run(name, test) {
    const began = Date.now()
    try {
      check(test, 'there is no such case; there are ' + Object.keys(cases).join(', '))
      const figures = await test()
      console.log('ok      ' + name.padEnd(34) + ' ' + figures + ' (' + ((Date.now() - began) / 1000).toFixed(1) + ' s)')
    } catch (err) {
      failed++
      console.log('FAILED  ' + name + ': ' + err.message)
    }
  }
  async function work() {
    while (waiting.length) {
      const name = waiting.shift()
      await run(name, cases[name])
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  if (last) await run('in the end', last)
  console.log(failed ? failed + ' failed' : 'all ' + names.length + ' as they should be')
  process.exit(failed ? 1 : 0)
}

module.exports = { options, check, within, start, wire, folder, random, proxy, main }
