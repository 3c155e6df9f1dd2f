/** `ironport-agent front`: the part of the agent that talks to people, and has no rights. */

import { getuid } from 'node:process';
import type { CommandSpec } from '../../shared/cli/command.ts';
import { IronError } from '../../shared/errors.ts';
import { serveFigures } from '../front/figures-socket.ts';
import { serveFront } from '../front/front.ts';

export const frontCommand: CommandSpec = {
  name: 'front',
  summary: 'pass on what people ask to the helper, and serve figures; needs no rights',
  description:
    'People ask with --via at the socket --socket; whoever may enter its folder may ask. Figures for ' +
    'Prometheus are served over HTTP at the socket --metrics, as /metrics. The helper takes the ' +
    'front for hostile, and so the front runs as a user of its own; root is refused.',
  options: [
    { flags: '--helper <path>', description: 'where the helper is asked', required: true },
    { flags: '--socket <path>', description: 'where people ask', required: true },
    { flags: '--metrics <path>', description: 'a socket for figures' },
  ],
  examples: [
    'ironport-agent front --helper /run/ironport-agent/helper.sock --socket /run/ironport-front/agent.sock --metrics /run/ironport-front/metrics.sock',
  ],
  schema: 'ironport-agent/front/v1',
  async run(context) {
    if (getuid?.() === 0) {
      throw new IronError('E_USAGE', 'the front is not to run as root', {
        hint: 'nothing was changed; start it as a user of its own, as its unit does',
      });
    }
    const { ui, signal } = context;
    const [helper, socket] = [context.need('helper'), context.need('socket')];
    const metrics = context.text('metrics') ?? null;
    const served = [await serveFront({ socket, helper, signal })];
    if (metrics !== null) served.push(await serveFigures({ socket: metrics, helper, signal }));
    ui.stage(`serving people at ${socket}`);
    if (metrics !== null) ui.stage(`serving figures at ${metrics}`);
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve(), { once: true });
    });
    for (const one of served) await one.close();
    return { data: { socket, metrics }, text: `stopped serving at ${socket}` };
  },
};
