// node bench.js REDIS_URL TASKS: BullMQ's time for that many trivial tasks, from the first push until the last is done.
//
// As its documentation has it best: tasks are added by addBulk, in batches (docs.bullmq.io/guide/queues/adding-bulks); a
// worker takes many at once (guide/workers/concurrency); jobs go when they are done (guide/queues/auto-removal-of-jobs). One
// worker, in a process of its own: on two cores a second one makes it slower, since Redis and who pushes need one too.
// NODE_PATH says where bullmq and ioredis are.

'use strict';

const { fork } = require('node:child_process');
const { Queue, Worker } = require('bullmq');

const NAME = 'primes';
const PROCESSES = 1;
const CONCURRENCY = 200;
const BATCH = 1000;
const FLUSH_EVERY_MS = 2;

const [, script, url, count] = process.argv;
const connection = { url, maxRetriesPerRequest: null };

function isPrime(number) {
  for (let divisor = 2; divisor * divisor <= number; divisor += 1) {
    if (number % divisor === 0) return false;
  }
  return number > 1;
}

// A worker tells its parent which tasks are done, many in one message.
async function work() {
  let done = [];
  const worker = new Worker(NAME, async (job) => isPrime(job.data.index % 100), {
    connection,
    concurrency: CONCURRENCY,
  });
  worker.on('completed', (job) => done.push(job.data.index));
  worker.on('failed', (_, error) => {
    throw error;
  });
  await worker.waitUntilReady();
  setInterval(() => {
    if (done.length > 0) process.send(done);
    done = [];
  }, FLUSH_EVERY_MS);
  process.on('disconnect', () => process.exit());
  process.send('ready');
}

async function main() {
  const tasks = Number(count);
  const seen = new Uint8Array(tasks);
  let left = tasks;
  let waiting = PROCESSES;
  const ready = resolvers();
  const finished = resolvers();
  const workers = Array.from({ length: PROCESSES }, () => fork(script, [url, 'worker']));
  for (const worker of workers) {
    worker.on('exit', (code) => finished.reject(new Error(`a worker ended with ${code}`)));
    worker.on('message', (message) => {
      if (message === 'ready') {
        waiting -= 1;
        if (waiting === 0) ready.resolve();
        return;
      }
      for (const index of message) {
        seen[index] += 1;
        left -= 1;
      }
      if (left === 0) finished.resolve();
    });
  }
  const queue = new Queue(NAME, { connection, defaultJobOptions: { removeOnComplete: true } });
  await queue.waitUntilReady();
  await ready.promise;

  const begun = process.hrtime.bigint();
  for (let from = 0; from < tasks; from += BATCH) {
    const length = Math.min(BATCH, tasks - from);
    await queue.addBulk(Array.from({ length }, (_, n) => ({ name: 'prime', data: { index: from + n } })));
  }
  await finished.promise;
  const seconds = Number(process.hrtime.bigint() - begun) / 1e9;

  for (const worker of workers) {
    worker.removeAllListeners('exit');
    worker.kill('SIGKILL');
  }
  if (!seen.every((times) => times === 1)) throw new Error('not every task was done once');
  console.log(JSON.stringify({ seconds, tasks }));
  process.exit();
}

function resolvers() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}

(count === 'worker' ? work() : main()).catch((error) => {
  console.error(error);
  process.exit(1);
});
