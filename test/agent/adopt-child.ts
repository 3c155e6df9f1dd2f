/**
 * A helper in its smallest form, for a manager that keeps descriptors: takes over what it was given, holds
 * what it is told to, with holders that only say what they hold, and says what came of it. Its arguments:
 * the state, the place of a program that holds, and devices to be held.
 */

import process from 'node:process';
import { Agent } from '../../agent/agent.ts';
import { adopt, takePassed } from '../../agent/helper/adopt.ts';
import { Holders } from '../../agent/helper/holders.ts';
import { Keeping, storeOf } from '../../agent/helper/keeping.ts';
import { withoutManager } from '../../agent/helper/passed.ts';
import { SYSCALL } from '../../agent/sandbox/syscalls.ts';
import { refuseCall } from './refuse-call.ts';

const [, , state = '', holder = '', ...devices] = process.argv;
const { IRONPORT_TEST_REFUSES: refuses, IRONPORT_TEST_SECONDS: seconds } = process.env;
if (refuses === 'pidfd_open') refuseCall(SYSCALL.pidfd_open);
const agent = new Agent({ state });
const passed = takePassed(process.env);
const say = (what: object): void => void process.stdout.write(`${JSON.stringify(what)}\n`);
const onSaid = (device: string, text: string): void => say({ device, text });
const store = storeOf(process.env);
const keeping = store && new Keeping(agent, store, onSaid);
const holders = new Holders({
  program: [process.execPath, holder],
  env: withoutManager(process.env),
  onSaid,
  keeping,
});
// Every process has the device open here: what else is looked at is the point.
const opened = async (): Promise<number[]> => holders.list().map(({ pid }) => pid);
const everything = { includes: () => true } as unknown as readonly number[];
const isOpen = process.env.IRONPORT_TEST_OPENED !== 'none';
const { adopted, refused } = await adopt({
  ...{ agent, passed, keeping, holders, onSaid },
  opened: isOpen ? async () => everything : opened,
  ...(seconds === undefined ? {} : { seconds: Number(seconds) }),
});
say({ adopted, refused: refused.map(({ why }) => why) });
for (const device of devices) {
  const { outcome } = await holders.hold('schema', device, [device]);
  say({ held: device, outcome: Object.keys(outcome) });
}
say({ ready: holders.list() });
process.on('SIGTERM', async () => {
  await holders.end();
  process.exit(0);
});
setInterval(() => {}, 1000);
