// pg-boss.
//
// https://pgboss.io/api/workers: batchSize for many jobs a fetch, burstWhenBatchFull to fetch again
// at once while batches are full, LISTEN/NOTIFY (useListenNotify, notify) for low latency;
// https://pgboss.io/api/jobs: insert() for many jobs in one statement. A handler gets a batch; it
// runs the batch's jobs together. Durable at COMMIT. Completed jobs are kept for a week. An active
// job fails and is retried once it has been active for 15 minutes.

import { PgBoss } from 'pg-boss'
import { BULK, DATABASE_URL, handlers, serve } from './shared/line.mjs'

const BATCH = 100
let boss

async function start (options = {}) {
  boss = new PgBoss({ connectionString: DATABASE_URL, useListenNotify: true, ...options })
  boss.on('error', error => console.error(error))
  await boss.start()
}

const producer = {
  open: () => start({ supervise: false, schedule: false }),
  enqueue: (task, job) => boss.send(task, job),
  bulk: (task, jobs) => boss.insert(task, jobs.map(data => ({ data }))),
  async held () {
    const sql = "SELECT count(*)::int AS n FROM pgboss.job WHERE state IN ('created', 'retry', 'active')"
    const { rows } = await boss.getDb().executeSql(sql)
    return rows[0].n
  },
  close: () => boss.stop({ graceful: false })
}

async function work () {
  await start()
  const options = { batchSize: BATCH, burstWhenBatchFull: true }
  for (const [task, handler] of Object.entries(handlers)) {
    await boss.work(task, options, jobs => Promise.all(jobs.map(job => handler(job.data))))
  }
}

async function install () {
  await start()
  for (const task of Object.keys(handlers)) await boss.createQueue(task, { notify: true })
  await producer.close()
}

serve({
  facts: {
    docs: 'https://pgboss.io/api/workers',
    settings: `batchSize ${BATCH}, burstWhenBatchFull, LISTEN/NOTIFY, insert()`,
    durability: 'durable at COMMIT, at least once; history kept for a week',
    cannot: 'run jobs of a dead worker before 15 minutes have passed'
  },
  producer,
  work,
  install,
  bulk: BULK
})
