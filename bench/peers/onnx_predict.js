// onnx_predict - inference by ONNX Runtime, timed in slices (bench/slices.h).
//
//   node onnx_predict.js NODE_MODULES MODEL.onnx THREADS N,C,H,W... DATA
//
// Calls the package's native session itself: the public run() wraps each call
// into a promise, which would add some microseconds. The output is written to a
// tensor made once. DATA is what step.cpp reads; a call is on the next batch,
// as there.
const [modules, file, threads, shape, data] = process.argv.slice(2);
const ort = require(`${modules}/onnxruntime-node`);
const { binding, initOrt } = require(`${modules}/onnxruntime-node/dist/binding`);

const sizes = shape.split(',').map(Number);
const batch = sizes[0], pixels = sizes.reduce((a, b) => a * b) / batch;
const bytes = require('fs').readFileSync(data);
const samples = Math.floor(bytes.length / (pixels + 1));
const values = Float32Array.from(bytes.subarray(0, samples * pixels), (byte) => byte / 255);
const batches = [];
for (let first = 0; first + batch <= samples; first += batch) {
  const part = values.subarray(first * pixels, (first + batch) * pixels);
  batches.push({ input: new ort.Tensor('float32', part, sizes) });
}

initOrt();
const session = new binding.InferenceSession();
session.loadModel(file, {
  intraOpNumThreads: Number(threads),
  interOpNumThreads: 1,
  executionMode: 'sequential',
  graphOptimizationLevel: 'all',
});
const first = session.run(batches[0], { prediction: null }, {}).prediction;
const result = { prediction: new ort.Tensor('float32', first.data ?? first[2], first.dims ?? first[1]) };
let next = 0;
const run = () => session.run(batches[next++ % batches.length], result, {});

const now = () => Number(process.hrtime.bigint()) / 1e6;
const cpu = () => { const used = process.cpuUsage(); return (used.user + used.system) / 1e3; };
const clock = process.env.BENCH_CLOCK === 'cpu' ? cpu : now;
let one = Infinity;
for (let i = 0; i < 20 && (i < 1 || one < 50); ++i) {
  const begin = now();
  run();
  one = Math.min(one, now() - begin);
}
const group = Math.max(1, Math.floor(0.5 / one));

function runFor(milliseconds) {
  const times = [];
  const begin = now();
  do {
    const start = clock();
    for (let i = 0; i < group; ++i) run();
    times.push((clock() - start) / group);
  } while (now() - begin < milliseconds);
  return times;
}

console.log('ready');
const lines = require('readline').createInterface({ input: process.stdin });
lines.on('line', (line) => {
  if (one < 100 * Number(line)) runFor(100 * Number(line));
  console.log(JSON.stringify(runFor(1000 * Number(line))));
});
