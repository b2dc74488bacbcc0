// The works in node: node.mjs callbacks|promises FOLDER SMALL BIG; the protocol is in serve.py, the formulas in files.py
// and works.py.

import fs from "node:fs";
import path from "node:path";
import readline from "node:readline";

const [style, folder, small, big] = [process.argv[2], process.argv[3], +process.argv[4], +process.argv[5]];
const BLOCK = 4096, CHUNK = 1 << 20, SLOTS = 1024, BLOCKS = 61, IN_FOLDER = 100, INTERVAL = 5;
const bigPath = `${folder}/big`;
const blocks = [];
const fd = fs.openSync(bigPath, "r");
for (let n = 0; n < BLOCKS; n++) {
  blocks.push(Buffer.alloc(BLOCK));
  fs.readSync(fd, blocks[n], 0, BLOCK, n * BLOCK);
}
const writtenFd = fs.openSync(`${folder}/written`, "r+");

const smallPath = (n) =>
  `${folder}/tree/${String(Math.floor(n / IN_FOLDER)).padStart(3, "0")}/${String(n).padStart(5, "0")}`;
const smallSize = (n) => 1000 + (n % 3000);
const paths = Array.from({ length: small }, (_, n) => smallPath(n));

function verifyBig(data, offset) {
  for (let at = 0; at < data.length; at += BLOCK)
    if (blocks[((offset + at) / BLOCK) % BLOCKS].compare(data, at, at + BLOCK))
      throw new Error(`wrong bytes at ${offset}`);
}

function verifySmall(data, number) {
  if (blocks[number % BLOCKS].subarray(0, smallSize(number)).compare(data)) throw new Error(`wrong bytes of ${number}`);
}

// ---- one call, in both styles: (item, task) and, with callbacks, who gets the number that is added to the sum ----

const fail = (error) => { if (error) throw error; };
const checked = { verify: false };

function lookBig(data, offset) {
  if (checked.verify) verifyBig(data, offset);
  return data[data.length - 1];
}

function lookSmall(data, number) {
  if (checked.verify) verifySmall(data, number);
  return data[data.length - 1];
}

const withCallbacks = {
  pread: (offset, task, done) => fs.read(fd, Buffer.allocUnsafe(BLOCK), 0, BLOCK, offset, (error, n, data) => {
    fail(error);
    done(lookBig(data, offset));
  }),
  stat: (number, task, done) => fs.stat(paths[number], (error, status) => { fail(error); done(status.size); }),
  small: (number, task, done) => fs.open(paths[number], "r", (error, file) => {
    fail(error);
    fs.read(file, Buffer.allocUnsafe(2 * BLOCK), 0, 2 * BLOCK, 0, (error, n, data) => {
      fail(error);
      fs.close(file, (error) => { fail(error); done(lookSmall(data.subarray(0, n), number)); });
    });
  }),
  read_bytes: (number, task, done) => fs.readFile(paths[number], (error, data) => {
    fail(error);
    done(lookSmall(data, number));
  }),
  pwrite: (offset, task, done) => fs.write(writtenFd, blocks[task.turn % BLOCKS], 0, BLOCK, offset, (error, n) => {
    fail(error);
    done(n);
  }),
  stream: (offset, task, done) => fs.read(fd, Buffer.allocUnsafe(CHUNK), 0, CHUNK, offset, (error, n, data) => {
    fail(error);
    done(lookBig(data, offset));
  }),
  copy: (number, task, done) => fs.copyFile(bigPath, `${folder}/copied`, (error) => { fail(error); done(1); }),
  idle: (number, task, done) => setTimeout(done, 10, 1),
};

let handle, writtenHandle;
const fsp = fs.promises;
const withPromises = {
  pread: async (offset) => lookBig((await handle.read(Buffer.allocUnsafe(BLOCK), 0, BLOCK, offset)).buffer, offset),
  stat: async (number) => (await fsp.stat(paths[number])).size,
  small: async (number) => {
    const file = await fsp.open(paths[number], "r");
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(2 * BLOCK), 0, 2 * BLOCK, 0);
    await file.close();
    return lookSmall(buffer.subarray(0, bytesRead), number);
  },
  read_bytes: async (number) => lookSmall(await fsp.readFile(paths[number]), number),
  pwrite: async (offset, task) => (await writtenHandle.write(blocks[task.turn % BLOCKS], 0, BLOCK, offset)).bytesWritten,
  stream: async (offset) => lookBig((await handle.read(Buffer.allocUnsafe(CHUNK), 0, CHUNK, offset)).buffer, offset),
  copy: async () => { await fsp.copyFile(bigPath, `${folder}/copied`); return 1; },
  scan: async () => scan(`${folder}/tree`),
};

async function scan(tree) {
  let total = 0;
  await Promise.all((await fsp.readdir(tree, { withFileTypes: true })).map(async (entry) => {
    const found = path.join(tree, entry.name);
    const size = entry.isDirectory() ? await scan(found) : (await fsp.lstat(found)).size;
    total += size; // not in one: the sum would be read before the await
  }));
  return total;
}

const slot = (n) => (n % SLOTS) * BLOCK;
const file = (n) => n % small;
const ITEMS = {
  pread: slot, pwrite: slot, stat: file, small: file, read_bytes: file, stream: (n) => (n * CHUNK) % big,
  copy: (n) => n, scan: (n) => n, idle: (n) => n,
};

// ---- the tasks: chains of callbacks, or coroutines ----

function chain(call, item, first, task) {
  return new Promise((ended) => {
    let n = first, total = 0;
    const next = () => (n < task.count ? call(item(n), task, done) : ended(total));
    const done = (value) => { total += value; n += task.tasks; next(); };
    next();
  });
}

async function coroutine(call, item, first, task) {
  let total = 0;
  for (let n = first; n < task.count; n += task.tasks) total += await call(item(n), task);
  return total;
}

async function run(task) {
  const call = (style === "callbacks" ? withCallbacks : withPromises)[task.kind];
  if (!call || task.burning) return null;
  checked.verify = task.verify;
  const late = [];
  const began = performance.now();
  let due = began + INTERVAL, timer;
  const note = () => {
    const now = performance.now();
    for (; due <= now; due += INTERVAL) late.push(now - due);
    return due - now;
  };
  const tick = () => { timer = setTimeout(tick, note()); };
  tick();
  const all = [];
  for (let first = 0; first < task.tasks; first++)
    all.push((style === "callbacks" ? chain : coroutine)(call, ITEMS[task.kind], first, task));
  const totals = await Promise.all(all);
  const seconds = (performance.now() - began) / 1000;
  note();
  clearTimeout(timer);
  return { total: totals.reduce((a, b) => a + b, 0), seconds, late };
}

handle = await fsp.open(bigPath, "r");
writtenHandle = await fsp.open(`${folder}/written`, "r+");
for await (const line of readline.createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await run(JSON.parse(line))));
}
process.exit(0);
