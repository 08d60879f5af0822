// onnx_run - models by ONNX Runtime.
//
//   node onnx_run.js NODE_MODULES < JOBS
//
// JOBS is a list of {model, input, output, type, sample, name, batches}: for each
// size in `batches` the model gets as many samples from the begin of the raw file
// `input`; `output` gets all results, one behind the other. Prints the shapes of
// the results, a line of JSON for each job.
const fs = require('fs');
const ort = require(`${process.argv[2]}/onnxruntime-node`);

async function run(job) {
  const session = await ort.InferenceSession.create(job.model, {
    intraOpNumThreads: 1, interOpNumThreads: 1,
  });
  const bytes = fs.readFileSync(job.input);
  const floats = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const size = job.sample.reduce((a, b) => a * b, 1);
  const shapes = [], results = [];
  for (const count of job.batches) {
    let values = floats.slice(0, count * size);
    if (job.type === 'int64') values = BigInt64Array.from(values, BigInt);
    const result = await session.run(
      { [job.name]: new ort.Tensor(job.type, values, [count, ...job.sample]) });
    const tensor = result[session.outputNames[0]];
    shapes.push(tensor.dims);
    results.push(Buffer.from(Float32Array.from(tensor.data).buffer));
  }
  fs.writeFileSync(job.output, Buffer.concat(results));
  return { shapes };
}

(async () => {
  for (const job of JSON.parse(fs.readFileSync(0)))
    console.log(JSON.stringify(await run(job).catch((e) => ({ error: `${e}` }))));
})();
