// Graphile Worker, by default or with its local queue.
//
// https://worker.graphile.org/docs/performance, "Quick stats" and "Batching": concurrentJobs with a
// pool one larger, localQueue.size 500, completeJobBatchDelay 0, failJobBatchDelay 0, and `addJobs`
// for many jobs in one call. The default variant leaves the batching out. Durable at COMMIT; a
// finished job's row is deleted, so that there is no history. Jobs of a dead worker wait for four
// hours: https://worker.graphile.org/docs/faq

import './shared/quiet-graphile-worker.mjs' // before what reads it
import { makeWorkerUtils, run } from 'graphile-worker'
import { BULK, DATABASE_URL, VARIANT, handlers, serve } from './shared/line.mjs'

const LOCAL_QUEUE = VARIANT === 'local-queue'
const BATCHING = { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 }
let utils

const producer = {
  async open () {
    utils = await makeWorkerUtils({ connectionString: DATABASE_URL, maxPoolSize: 25 })
  },
  enqueue: (task, job) => utils.addJob(task, job),
  bulk: (task, jobs) => utils.addJobs(jobs.map(payload => ({ identifier: task, payload }))),
  async held () {
    return await utils.withPgClient(async client => {
      const { rows } = await client.query('SELECT count(*)::int AS n FROM graphile_worker.jobs')
      return rows[0].n
    })
  },
  close: () => utils.release()
}

async function work (concurrency) {
  const runner = await run({
    preset: {
      worker: {
        connectionString: DATABASE_URL,
        concurrentJobs: concurrency,
        maxPoolSize: concurrency + 1,
        ...(LOCAL_QUEUE ? BATCHING : {})
      }
    },
    taskList: handlers
  })
  await runner.promise
}

async function install () {
  await producer.open()
  await utils.migrate()
  await utils.release()
}

serve({
  facts: {
    docs: 'https://worker.graphile.org/docs/performance',
    settings: LOCAL_QUEUE ? 'local queue of 500, batched completion' : 'defaults',
    durability: 'durable at COMMIT, at least once; rows deleted',
    cannot: 'run jobs of a dead worker before 4 hours have passed'
  },
  producer,
  work,
  install,
  bulk: BULK
})
