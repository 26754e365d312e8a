// Every screen and every state in pictures, on the desk and on the phone, compared with those that are kept, reduced,
// in pictures/references; and nothing may happen meanwhile that must not, as in the other tests. `npm run pictures`
// takes them anew, and others for people to look at.
import { after, before, test } from 'node:test';
import { Parley } from '../../../compat/lib/parley.mjs';
import { timeout } from './page.mjs';
import { serveModel } from './pictures/model.mjs';
import { allowed, scenes } from './pictures/scenes.mjs';
import { Studio } from './pictures/studio.mjs';

const limit = { timeout: 4 * timeout };
let model, parley, studio;

before(async () => {
  model = await serveModel();
  parley = await Parley.start({
    OPENAI_BASE_URL: model.url,
    PARLEY_MODEL: 'lantern',
    PARLEY_SCRIPT: 'on',
    PARLEY_SENDS_PER_MINUTE: '0',
    PARLEY_MAX_RUNNING: '100',
    PARLEY_MAX_MESSAGE_BYTES: '1024',
    PARLEY_LEASE: '3s',
  });
  studio = await Studio.open(parley.url);
});

after(async () => {
  await studio?.close();
  await parley?.close();
  model?.close();
});

for (const [name, play] of Object.entries(scenes)) {
  test(name, limit, async () => {
    studio.begin(name);
    await play({ studio, parley }).catch(async (error) => {
      const left = await studio.leave();
      throw new Error(`${error.message}\nWhat is seen then: ${left}`, { cause: error });
    });
    studio.end(name, allowed[name]);
  });
}
