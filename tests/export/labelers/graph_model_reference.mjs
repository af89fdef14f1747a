// Prints what TensorFlow.js computes for a graph model, as JSON by the names of operations.
// Usage: node graph_model_reference.mjs TFJS_BUNDLE MODEL_JSON IMAGES SHAPE OUTPUTS, where IMAGES is
// raw float32 of SHAPE, such as 2,64,64,1, and OUTPUTS are names with commas. Knows no network.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const [bundle, modelFile, imagesFile, shape, outputs] = process.argv.slice(2);
const tf = createRequire(import.meta.url)(bundle);

function bytes(file) {
  const content = readFileSync(file);
  return content.buffer.slice(content.byteOffset, content.byteOffset + content.byteLength);
}

const model = JSON.parse(readFileSync(modelFile, 'utf8'));
const [group] = model.weightsManifest;
const artifacts = {
  modelTopology: model.modelTopology,
  format: model.format,
  weightSpecs: group.weights,
  weightData: bytes(path.join(path.dirname(modelFile), group.paths[0])),
};

await tf.setBackend('cpu');
const graph = await tf.loadGraphModel({ load: async () => artifacts });
const images = tf.tensor(new Float32Array(bytes(imagesFile)), shape.split(',').map(Number));
const names = outputs.split(',');
const found = names.map((name) => graph.execute(images, name));
console.log(JSON.stringify(Object.fromEntries(names.map((name, i) => [name, found[i].arraySync()]))));
