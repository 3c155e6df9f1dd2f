/** What is sealed is what was accepted, whatever is swapped while it is opened; the lab runs it too. */

import { fstatSync, mkdirSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Agent } from '../../agent/agent.ts';
import { loadAccepted } from '../../agent/entry.ts';
import { readName } from '../../agent/host/inventory.ts';
import { Sysfs } from '../../agent/host/sysfs.ts';
import { prepareRun } from '../../agent/prepare-run.ts';
import { isIronError } from '../../shared/errors.ts';
import { acceptedFile, agentState } from '../../shared/layout.ts';
import { parsePolicy } from '../../shared/manifest/policy.ts';
import { BDF, NAME, POLICY, scene } from './support.ts';
import { lookAt, REFUSED_NOW, whileSwapped } from './swapping.ts';

const RUN = {
  ...{ program: 'static', memory_bytes: '0x1000000', processes: 1, accesses_per_second: 1 },
};

function bytesOf(fd: number): Buffer {
  const bytes = Buffer.alloc(fstatSync(fd).size);
  readSync(fd, bytes, 0, bytes.length, 0);
  return bytes;
}

t.test(
  'who measures a path and opens it again is fooled, and what is sealed never is',
  { skip: process.platform !== 'linux' && 'a driver is sealed by Linux' },
  async (t) => {
    const place = await scene(t);
    const agent = new Agent({ state: place.state });
    const accepted = await loadAccepted(agent, NAME);
    const device = await readName(await Sysfs.open(place.sysfs), BDF);
    const document = JSON.parse(readFileSync(POLICY, 'utf8'));
    document.run = { users: { first: 64_000, count: 8 } };
    for (const entry of document.allow) entry.run = RUN;
    const policy = parsePolicy(Buffer.from(JSON.stringify(document)));
    const interrupts = { kind: 'msi', vectors: 1, perSecondBudget: 1 } as const;
    const folder = join(place.state, agentState.accepted(NAME));
    const file = join(folder, acceptedFile.artifact);
    const good = readFileSync(file);
    const evil = Buffer.alloc(good.length, 'x');
    const prepared = () => prepareRun(agent, accepted, policy, device, { interrupts }, '/nowhere');
    const control = prepared();
    t.ok(bytesOf(control.program).equals(good), 'control: nothing is swapped');
    control.close();
    for (const kind of ['file', 'link', 'folder link'] as const) {
      const aside = join(place.folder, kind.replace(' ', '-'));
      mkdirSync(aside);
      await whileSwapped({ kind, file, folder, evil, aside }, async () => {
        for (let isFooled = false; !isFooled; ) {
          const isGood = lookAt(file)?.equals(good) === true;
          isFooled = isGood && lookAt(file)?.equals(good) === false;
        }
        let [sealed, refused, wrong] = [0, 0, 0];
        while (sealed < 20 || refused < 20) {
          try {
            const { program, close } = prepared();
            sealed++;
            if (!bytesOf(program).equals(good)) wrong++;
            close();
          } catch (error) {
            if (!isIronError(error, ...REFUSED_NOW)) throw error;
            refused++;
          }
        }
        t.equal(wrong, 0, `${kind}: ${sealed} sealed, ${refused} refused`);
      });
      t.ok(readFileSync(file).equals(good), 'it is back');
    }
  },
);
