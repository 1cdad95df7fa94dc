'use strict'

// A process that is driven by lines of JSON: `autobee serve --control -`, or autobee-peer.js, which obeys the same.

const { spawn } = require('child_process')
const readline = require('readline')

const limits = { patienceMs: 120000 } // of one answer or condition; only stops what hangs

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

// The generator of the benchmarks: the same seed draws the same numbers.
class Draws {
  constructor(seed) {
    this.state = seed >>> 0
  }

  below(n) {
    this.state = (this.state + 0x9e3779b9) >>> 0
    let z = this.state
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
    return Math.floor((((z ^ (z >>> 15)) >>> 0) * n) / 2 ** 32)
  }

  pick(list) {
    return list[this.below(list.length)]
  }
}

async function until(what, condition, pauseMs = 100) {
  const end = Date.now() + limits.patienceMs
  for (;;) {
    const found = await condition()
    if (found) return found
    if (Date.now() > end) throw new Error('in vain: ' + what)
    await sleep(pauseMs)
  }
}

class Controlled {
  constructor(name, verbose) {
    this.name = name
    this.verbose = verbose
    this.fault = null
    this.process = null
  }

  // Starts the process, waits for its ready line, and takes over what that says.
  async run(command, args) {
    this.waiting = new Map()
    this.lastId = 0
    this.errors = ''
    this.process = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] })
    Controlled.all.add(this)
    this.process.stdin.on('error', () => {}) // it is gone: its exit tells
    this.process.stderr.on('data', (text) => {
      this.errors = (this.errors + text).slice(-8000)
      if (this.verbose) process.stderr.write(this.name + ' ! ' + text)
    })
    const ready = new Promise((resolve) => (this.onready = resolve))
    this.exited = new Promise((resolve) => this.process.once('close', (code, signal) => resolve(this.ended(signal || code))))
    readline.createInterface({ input: this.process.stdout }).on('line', (line) => this.take(line))
    const early = this.exited.then(() => {
      throw new Error(this.name + ' did not start: ' + this.errors)
    })
    early.catch(() => {})
    Object.assign(this, await Promise.race([ready, early]))
  }

  ended(how) {
    Controlled.all.delete(this)
    for (const { reject } of this.waiting.values()) reject(new Error(`${this.name} ended: ${how}\n${this.errors}`))
    this.waiting.clear()
  }

  take(line) {
    if (this.verbose) console.error(this.name, '<', line.slice(0, 300))
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
    if (!Controlled.all.has(this)) return Promise.reject(new Error(this.name + ' is gone'))
    const id = ++this.lastId
    const line = JSON.stringify({ ...command, id })
    if (this.verbose) console.error(this.name, '>', line.slice(0, 300))
    return new Promise((resolve, reject) => {
      const silent = () => reject(new Error(`${this.name} does not answer: ${line.slice(0, 100)}`))
      const timer = setTimeout(silent, limits.patienceMs)
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
    let silent = false
    if (!killed) await this.ask({ cmd: 'close' }).catch(() => (silent = Controlled.all.has(this)))
    if (killed || silent) this.process.kill('SIGKILL')
    await this.exited
    if (silent) throw new Error(this.name + ' does not close')
  }
}
Controlled.all = new Set()

process.on('exit', () => {
  for (const { process: child } of Controlled.all) child.kill('SIGKILL')
})
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => process.exit(1))

module.exports = { Controlled, Draws, limits, sleep, until }
