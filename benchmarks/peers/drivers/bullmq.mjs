// BullMQ on Node, with its Redis or its PostgreSQL backend.
//
// https://docs.bullmq.io/guide/workers/concurrency: concurrency for jobs that wait;
// https://docs.bullmq.io/guide/queues/adding-bulks: addBulk;
// https://docs.bullmq.io/guide/postgresql: createPostgresBackend. The production guide's
// removeOnComplete keeps the store from growing:
// https://docs.bullmq.io/guide/going-to-production#automatic-job-removal Redis: what the
// append-only file keeps (here everysec), at least once. PostgreSQL: durable at COMMIT.

import { Queue, Worker, createPostgresBackend } from 'bullmq'
import { BULK, DATABASE_URL, REDIS_URL, VARIANT, handlers, serve } from './shared/line.mjs'

const NAME = 'bench'
const POSTGRESQL = VARIANT === 'postgresql'
const backend = POSTGRESQL ? [createPostgresBackend] : []

function connection () {
  if (POSTGRESQL) return { connectionString: DATABASE_URL, max: 20 }
  const url = new URL(REDIS_URL)
  return {
    host: url.hostname,
    port: Number(url.port),
    password: url.password,
    db: Number(url.pathname.slice(1)),
    maxRetriesPerRequest: null
  }
}

let queue
const producer = {
  async open () {
    queue = new Queue(NAME, {
      connection: connection(),
      defaultJobOptions: { removeOnComplete: true }
    }, ...backend)
    await queue.waitUntilReady()
  },
  enqueue: (task, job) => queue.add(task, job),
  bulk: (task, jobs) => queue.addBulk(jobs.map(data => ({ name: task, data }))),
  async held () {
    const counts = await queue.getJobCounts('wait', 'active', 'delayed', 'prioritized')
    return Object.values(counts).reduce((sum, n) => sum + n, 0)
  },
  close: () => queue.close()
}

async function work (concurrency) {
  const worker = new Worker(NAME, job => handlers[job.name](job.data), {
    connection: connection(),
    concurrency
  }, ...backend)
  worker.on('error', error => console.error(error))
  await new Promise(() => {}) // until killed
}

async function install () {
  if (!POSTGRESQL) return
  const queue = new Queue(NAME, { connection: { ...connection(), migrate: true } }, ...backend)
  await queue.waitUntilReady()
  await queue.close()
}

serve({
  facts: {
    docs: POSTGRESQL
      ? 'https://docs.bullmq.io/guide/postgresql'
      : 'https://docs.bullmq.io/guide/workers/concurrency',
    settings: 'concurrency 50, addBulk, finished jobs removed',
    durability: POSTGRESQL
      ? 'durable at COMMIT, at least once; rows deleted'
      : 'append-only file everysec, at least once; finished jobs removed',
    cannot: 'a blocking job stops the event loop of its process'
  },
  producer,
  work,
  install,
  bulk: BULK
})
