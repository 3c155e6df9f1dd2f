/** Uses its descriptors up, and asks for a device to be held: then, and once there are some again. */

import { closeSync, openSync } from 'node:fs';
import { Holders } from '../../agent/helper/holders.ts';
import { asIronError } from '../../shared/errors.ts';

const DEVICE = '0000:00:05.0';
const holder = 'require("fs").writeSync(3, "{}\\n")';
const holders = new Holders({
  program: [process.execPath, '-e', `${holder}//`, '--'],
  env: process.env,
  onSaid: () => {},
});
const result: unknown[] = [];
const taken: number[] = [];
try {
  for (;;) taken.push(openSync('/dev/null', 'r'));
} catch {
  // All are in use.
}
await holders.hold('schema', DEVICE, []).catch((error) => result.push(asIronError(error).code));
for (const fd of taken) closeSync(fd);
result.push(holders.list().length);
const { outcome } = await holders.hold('schema', DEVICE, []);
result.push('data' in outcome ? 'held' : outcome.error.code);
await holders.end();
process.stdout.write(JSON.stringify(result));
