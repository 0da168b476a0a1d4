/**
 * Trains on a folder of images for some steps, then draws new ones and finds the latents of what it drew.
 *
 *     npm run build && node dist/examples/train-and-generate.js IMAGES RUN_FOLDER [STEPS]
 */
import { San, train } from 'san-native';

const [data = 'photos', out = 'runs/photos', steps = '200'] = process.argv.slice(2);

for await (const tick of train({ data, out, preset: 'quickstart', steps: Number(steps) })) {
  if (tick.type === 'steps') console.log(`step ${tick.step}/${tick.steps}`, tick.losses);
}
await using san = await San.load(out);
const images = await san.generate({ count: 16, seed: 7 });
const latents = await san.reverse(images);
console.log('images', images.shape, 'latents', latents.shape);
