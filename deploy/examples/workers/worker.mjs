#!/usr/bin/env node
// A worker for executor-d's `worker` handler, with nothing but Node: the SHA-256 of each task.
//
//     [queues.hashes]
//     handler = "worker"
//     [queues.hashes.worker]
//     argv = ["/usr/bin/node", "/opt/distjob/worker.mjs"]
//     in_flight = 16
//
// Put your own work into handle(). Up to `in_flight` tasks are under way at once, and each is answered when it is done,
// in whatever order. Each line of standard input is a request, each line of standard output a reply; the end of the
// input is the end of the program, after the last reply.

import { createHash } from "node:crypto";
import { createInterface } from "node:readline";

/** An error that another attempt would not mend. */
class Final extends Error {}

/**
 * The value of a task, as a string or a Buffer. `request` has `job`, `index`, `attempt`, `queue` and `key`, too. What is
 * thrown makes this attempt fail; the queue's `attempts` says how many there are.
 */
async function handle(payload, request) {
  if (payload.length === 0) throw new Final("an empty task");
  return createHash("sha256").update(payload).digest("hex");
}

// Standard output is for replies; what libraries print goes to the log.
console.log = console.info = console.debug = console.error;

async function answer(line) {
  const request = JSON.parse(line);
  const reply = { id: request.id };
  try {
    const payload =
      request.payload === undefined ? Buffer.from(request.payload_base64, "base64") : Buffer.from(request.payload);
    const value = await handle(payload, request);
    if (Buffer.isBuffer(value)) reply.value_base64 = value.toString("base64");
    else reply.value = value;
  } catch (error) {
    console.error(error);
    reply.error = String(error?.message ?? error);
    reply.final = error instanceof Final;
  }
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}

// Not awaited: the next request is read while this one is under way.
createInterface({ input: process.stdin }).on("line", answer);
