// What the drivers on Node share: the marks of handlers, and orders as lines of JSON.
// `line.py` beside this file says what they mean; both do the same.

import { createInterface } from 'node:readline'
import { ftruncateSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { isMainThread, threadId } from 'node:worker_threads'

export const DATABASE_URL = process.env.PEER_DATABASE_URL ?? ''
export const REDIS_URL = process.env.PEER_REDIS_URL ?? ''
export const VARIANT = process.env.PEER_VARIANT ?? ''
export const BULK = 1000 // jobs a call, unless the peer's documentation says otherwise
const HOLDS = process.env.PEER_HOLD === '1'
const CALLERS = 100
const FIRST = 1_000_000 // seven digits each, so that all payloads are of one size
const ROOM = 2_000_000 // marks a process, in a file with holes
const FILLING = 'x'.repeat(200 - '{"i": 1000000, "x": ""}'.length)

export const payload = number => ({ i: number, x: FILLING })
export const pause = ms => new Promise(resolve => setTimeout(resolve, ms))

// Node has no shared memory with other programs: marks are kept and written every few milliseconds.
const marks = { file: undefined, count: 0, written: 0, kept: Buffer.alloc(16 * 4096), timer: undefined }

export function mark (number) {
  if (marks.file === undefined) openMarks()
  const at = 16 * (marks.count - marks.written)
  marks.kept.writeBigUInt64LE(BigInt(number), at)
  marks.kept.writeBigUInt64LE(process.hrtime.bigint(), at + 8)
  marks.count += 1
  if (at + 16 === marks.kept.length) writeMarks()
  else if (marks.timer === undefined) marks.timer = setTimeout(writeMarks, 2)
}

function openMarks () {
  marks.file = openSync(join(process.env.PEER_MARKS, `${process.pid}-${threadId}.marks`), 'w+')
  ftruncateSync(marks.file, 16 * (ROOM + 1))
}

function writeMarks () {
  clearTimeout(marks.timer)
  marks.timer = undefined
  const bytes = 16 * (marks.count - marks.written)
  if (marks.count < ROOM) {
    writeSync(marks.file, marks.kept, 0, bytes, 16 * (marks.written + 1))
    const count = Buffer.alloc(8)
    count.writeBigUInt64LE(BigInt(marks.count))
    writeSync(marks.file, count, 0, 8, 0)
  }
  marks.written = marks.count
}

export const handlers = {
  async noop ({ i }) { mark(i) },
  async sleep ({ i }) { mark(i); await pause(5) },
  async block ({ i }) { mark(i); writeMarks(); Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5) },
  async hold ({ i }) {
    mark(i)
    while (HOLDS) await pause(3_600_000)
  }
}

// facts, producer (open, enqueue, bulk, held, close), work(concurrency), install, bulk: as in line.py.
export function serve (driver) {
  if (!isMainThread) return
  if (process.argv[2] === 'work') {
    process.stdin.resume().on('end', () => process.exit(1)) // the end of the harness
    driver.work(Number(process.argv[3])).catch(fail)
  } else {
    obey(driver).catch(fail)
  }
}

function fail (error) {
  console.error(error)
  process.exit(1)
}

async function obey (driver) {
  const orders = new Orders(driver)
  const answer = what => writeSync(1, JSON.stringify(what) + '\n')
  console.log = console.info = console.debug = console.error // libraries may print
  for await (const line of createInterface({ input: process.stdin })) {
    const { do: verb, ...order } = JSON.parse(line)
    try {
      answer({ ok: (await orders[verb](order)) ?? null })
    } catch (error) {
      answer({ error: `${error.name}: ${error.message || error.code}` })
    }
  }
  process.exit(0)
}

class Orders {
  constructor (driver) { this.driver = driver }

  facts () { return { ...this.driver.facts, bulk: this.driver.bulk ?? 0 } }
  async install () { await this.driver.install?.() }
  async held () { return await this.driver.producer.held() }
  async close () { await this.driver.producer.close() }

  async open ({ first = FIRST }) {
    this.next = first
    await this.driver.producer.open()
  }

  async enqueue ({ how, task, n, seconds }) {
    const ways = { single: this.singly, concurrent: this.concurrently, bulk: this.inBulk }
    return await this.timed(ways[how], task, n, seconds)
  }

  async latency ({ n, gap }) {
    const calls = []
    for (let k = 0; k < n; k++) {
      const number = this.next++
      await pause(gap * 1000 * (0.5 + (number * 0.618) % 1)) // in step with no poll
      const job = payload(number)
      calls.push([number, Number(process.hrtime.bigint())])
      await this.driver.producer.enqueue('noop', job)
    }
    return calls
  }

  async timed (how, task, n, seconds) {
    const began = Number(process.hrtime.bigint()) / 1e9
    const jobs = this.until(began + seconds, n)
    const done = await how.call(this, task, jobs)
    return { n: done, began, seconds: Number(process.hrtime.bigint()) / 1e9 - began }
  }

  * until (end, n) {
    while (n-- > 0 && Number(process.hrtime.bigint()) / 1e9 < end) yield payload(this.next++)
  }

  async singly (task, jobs) {
    let n = 0
    for (let next = jobs.next(); !next.done; next = jobs.next()) { // for...of would close it for others
      await this.driver.producer.enqueue(task, next.value)
      n++
    }
    return n
  }

  async concurrently (task, jobs) {
    const callers = Array.from({ length: CALLERS }, () => this.singly(task, jobs))
    return (await Promise.all(callers)).reduce((sum, n) => sum + n, 0)
  }

  async inBulk (task, jobs) {
    let n = 0
    for (;;) {
      const some = []
      while (some.length < this.driver.bulk) {
        const next = jobs.next()
        if (next.done) break
        some.push(next.value)
      }
      if (some.length === 0) return n
      await this.driver.producer.bulk(task, some)
      n += some.length
    }
  }
}
