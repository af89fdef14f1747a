// Prints what face-api's own JavaScript computes, as JSON, before any softmax.
// Usage: node face_api_reference.mjs PACKAGE_FOLDER IMAGES, where IMAGES is raw uint8 RGB
// [N, 112, 112, 3]. Knows nothing about our networks.

import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';

const SIDE = 112;
const [packageFolder, imagesFile] = process.argv.slice(2);

// The published bundle is built for browsers: under Node it takes itself for a Node build and
// fails on the parts left out of it. As a worker without `process` it needs none of them.
function loadAsWorker(bundle) {
  const source = readFileSync(bundle, 'utf8');
  return new Function('process', 'WorkerGlobalScope', `${source}\nreturn faceapi;`)(
    undefined,
    Object,
  );
}

function readFaces(tf, file) {
  const pixels = Float32Array.from(readFileSync(file));
  return tf.tensor4d(pixels, [pixels.length / (SIDE * SIDE * 3), SIDE, SIDE, 3]);
}

const faceapi = loadAsWorker(path.join(packageFolder, 'dist', 'face-api.js'));
await faceapi.tf.setBackend('cpu');
faceapi.env.setEnv({ readFile });

const ageGender = new faceapi.AgeGenderNet();
const expression = new faceapi.FaceExpressionNet();
await ageGender.loadFromDisk(path.join(packageFolder, 'model'));
await expression.loadFromDisk(path.join(packageFolder, 'model'));

const faces = new faceapi.NetInput(faceapi.tf.unstack(readFaces(faceapi.tf, imagesFile)));
const { age, gender } = ageGender.runNet(faces);
console.log(
  JSON.stringify({
    age_years: age.arraySync(),
    gender_logits: gender.arraySync(),
    expression_logits: expression.runNet(faces).arraySync(),
  }),
);
