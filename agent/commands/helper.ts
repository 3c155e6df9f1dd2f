/** `ironport-agent helper`: the part of the agent that has rights, and is asked by the part that has none. */

import process from 'node:process';
import type { CommandContext, CommandSpec } from '../../shared/cli/command.ts';
import { agentState, hostFiles } from '../../shared/layout.ts';
import { ensurePrivateFolder } from '../../shared/node/folders.ts';
import { withLock } from '../../shared/node/lock.ts';
import { adopt, openedOn, takePassed } from '../helper/adopt.ts';
import { Helper } from '../helper/helper.ts';
import { Holders } from '../helper/holders.ts';
import { Keeping, storeOf } from '../helper/keeping.ts';
import { endLeftOver } from '../helper/left-over.ts';
import { LogCounter } from '../helper/log-counts.ts';
import { withoutManager } from '../helper/passed.ts';
import type { Performing } from '../helper/perform.ts';
import { Spool } from '../helper/spool.ts';
import { Verdicts } from '../helper/verdicts.ts';
import { leaveGroup } from '../host/own-cgroup.ts';
import { userNamed } from '../host/user-named.ts';
import { recoverAll } from '../recover.ts';
import { acceptCommand } from './accept.ts';
import { applyCommand } from './apply.ts';
import { listCommand } from './list.ts';
import { noticeCommand } from './notice.ts';
import { BACKEND, FLEET_KEYS, openAgent, openSysfs, STATE, SYSFS, TIMEOUTS } from './options.ts';
import { planCommand } from './plan.ts';
import { policyAcceptCommand } from './policy.ts';
import {
  quarantineEnterCommand,
  quarantineListCommand,
  quarantineReleaseCommand,
  quarantineShowCommand,
} from './quarantine.ts';
import { receiptShowCommand } from './receipt.ts';
import { releaseCommand } from './release.ts';
import { statusCommand } from './status.ts';
import { whyCommand } from './why.ts';

/** What may be asked of a helper; `agent/wire/request.ts` says how. */
export const ASKED: readonly CommandSpec[] = [
  acceptCommand,
  noticeCommand,
  listCommand,
  planCommand,
  applyCommand,
  releaseCommand,
  statusCommand,
  whyCommand,
  receiptShowCommand,
  policyAcceptCommand,
  quarantineListCommand,
  quarantineShowCommand,
  quarantineEnterCommand,
  quarantineReleaseCommand,
];

export const helperCommand: CommandSpec = {
  name: 'helper',
  summary: 'serve the commands of this agent to a front that has no rights, over a socket',
  description:
    'The helper runs as root, without a network. Who may ask is named by --user, and told by the ' +
    'kernel. Hand-overs, policies and statements are taken from the folder --spool by the names of ' +
    'their entries; roots, keys, policies and the tree are never named by who asks. A driver is bound ' +
    'by the fleet policy that operators signed, and by no other. Ends when it is stopped; devices ' +
    'that it holds are let go of. When it dies and systemd starts it again, with a store of descriptors ' +
    '(FileDescriptorStoreMax=), the devices that were held are held on, and it takes them over; all else ' +
    'that was left is ended.',
  options: [
    { flags: '--socket <path>', description: 'where it is asked', required: true },
    { flags: '--spool <dir>', description: 'the folder in which hand-overs lie', required: true },
    {
      flags: '--user <name>',
      description: 'a user who may ask, by name or number; may be given several times',
      repeatable: true,
    },
    { flags: '--root <file>', description: 'pin this root, once, when none is pinned yet' },
    FLEET_KEYS,
    {
      flags: '--host-policy <file>',
      description: `the policy of this host (${hostFiles.policy}, when it is there)`,
      env: 'IRONPORT_HOST_POLICY',
    },
    {
      flags: '--cgroup <dir>',
      description:
        'a folder of cgroup v2 that is delegated to this helper, for its drivers and no others',
      env: 'IRONPORT_AGENT_CGROUP',
    },
    BACKEND,
    STATE,
    SYSFS,
    ...TIMEOUTS,
  ],
  examples: [
    'ironport-agent helper --socket /run/ironport-agent/helper.sock --spool /var/spool/ironport --user ironport-front',
  ],
  schema: 'ironport-agent/helper/v1',
  async run(context) {
    const agent = openAgent(context, { timeouts: true });
    const users = context.list('user').map((name) => userNamed(name));
    const socket = context.need('socket');
    const { ui, signal } = context;
    const cgroup = context.text('cgroup');
    // Before anything is started that would inherit them.
    const passed = takePassed(context.env);
    if (cgroup !== undefined) leaveGroup(cgroup, 'helper');
    await ensurePrivateFolder(agent.state);
    const serve = async (): Promise<void> => {
      const verdicts = new Verdicts(agent, (text) => ui.warn(text));
      const onSaid = (device: string, text: string): void => ui.note(`${device}: ${text}`);
      const store = storeOf(context.env);
      const keeping = store && new Keeping(agent, store, onSaid);
      const holders = new Holders({
        program: [process.execPath, ...process.argv.slice(1, 2)],
        env: withoutManager(context.env),
        onSaid,
        ...(cgroup === undefined
          ? {}
          : { onGone: (device) => endLeftOver(agent, cgroup, device, onSaid) }),
        keeping,
      });
      const sysfs = await openSysfs(context);
      const opened = openedOn(sysfs, agent.proc);
      await adopt({ agent, passed, keeping, holders, cgroup, opened, onSaid });
      const failed = (device: string, { message }: Error): void =>
        ui.warn(`${device}: ${message}; see \`ironport-agent recover\``);
      await recoverAll(agent, sysfs, failed).catch((error) => failed('recovering', error));
      const doing = performingOf(context, { agent, verdicts, holders });
      const served = await Helper.start({ ...doing, socket, users: new Set(users) });
      ui.stage(`serving at ${socket}, for users ${users.join(', ') || 'nobody'}`);
      await new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        else signal.addEventListener('abort', () => resolve(), { once: true });
      });
      await served.close();
      await holders.end();
      await verdicts.settled();
    };
    // Of one state there is one: two would each serve what the other is changing.
    await withLock(agent.place(agentState.helperLock), serve, { purpose: 'ironport-agent helper' });
    return { data: { socket }, text: `stopped serving at ${socket}` };
  },
};

function performingOf(
  context: CommandContext,
  own: Pick<Performing, 'agent' | 'verdicts' | 'holders'>,
): Performing {
  const names = [
    ...['sysfs-root', 'root', 'fleet-keys', 'host-policy', 'cgroup', 'backend'],
    ...['write-timeout', 'settle-timeout'],
  ];
  const options = Object.fromEntries(names.map((name) => [name, context.text(name)]));
  const { agent } = own;
  const { env, ui, signal } = context;
  return {
    ...own,
    // Nobody else's stages are shown: whoever asked gets the result.
    own: {
      options: { ...options, state: agent.state },
      env,
      ui: { ...ui, stage: () => {}, progress: () => ({ advance() {}, done() {} }) },
      signal,
    },
    commands: new Map(ASKED.map((spec) => [spec.name, spec])),
    spool: new Spool(context.need('spool')),
    counter: new LogCounter(agent.audit.path),
  };
}
