/** `--via SOCKET`: a command is not run here, but asked of the front or the helper at that socket. */

import type { CommandContext, CommandSpec, OptionSpec } from '../../shared/cli/command.ts';
import { parseFlags } from '../../shared/cli/options.ts';
import { IronError } from '../../shared/errors.ts';
import { parseAnswer } from '../wire/answer.ts';
import { exchange } from '../wire/ask.ts';
import { formatRequest, formOf, type Request } from '../wire/request.ts';

const VIA: OptionSpec = {
  flags: '--via <socket>',
  description: 'ask the front at this socket; files are named by their entry in the spool',
  env: 'IRONPORT_AGENT_VIA',
};

/** The command, and the same asked of a front. */
export function viaFront(spec: CommandSpec): CommandSpec {
  if (formOf(spec.name) === undefined)
    throw new TypeError(`${spec.name} cannot be asked of a front`);
  return {
    ...spec,
    options: [...(spec.options ?? []), VIA],
    async run(context) {
      const socket = context.text('via');
      if (socket === undefined) return await spec.run(context);
      const message = formatRequest(requestOf(spec, context));
      const { exit, outcome } = parseAnswer(
        await exchange(socket, message, { signal: context.signal }),
      );
      if ('error' in outcome) throw outcome.error;
      return { data: outcome.data, text: outcome.text, exit };
    },
  };
}

/** What the command line says, as far as it can be said. `E_USAGE` for what only the helper decides. */
function requestOf(spec: CommandSpec, context: CommandContext): Request {
  const kinds = formOf(spec.name)?.options ?? {};
  const options: Record<string, string | true> = {};
  for (const option of spec.options ?? []) {
    const { name, takesValue } = parseFlags(option.flags);
    const value = takesValue ? context.text(name) : context.flag(name) || undefined;
    if (value === undefined) continue;
    if (Object.hasOwn(kinds, name)) options[name] = value;
    else if (value !== option.default && !isFromEnv(option, value, context)) {
      throw new IronError('E_USAGE', `--${name} cannot be given together with --via`, {
        why: 'the helper decides it, and lets nobody else',
        hint: 'nothing was changed; leave it out',
      });
    }
  }
  const words = context.args.filter((word) => word !== undefined);
  return { command: spec.name, arguments: words, options };
}

function isFromEnv({ env }: OptionSpec, value: string | true, context: CommandContext): boolean {
  return env !== undefined && context.env[env] === value;
}
