/** `ironport-agent list`: every device, whether it could be bound, and if not why. */

import type { CommandSpec } from '../../shared/cli/command.ts';
import { table } from '../../shared/cli/table.ts';
import { asIronError } from '../../shared/errors.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { matchesDevice } from '../../shared/manifest/device.ts';
import { hexId } from '../../shared/manifest/numbers.ts';
import type { Instant } from '../../shared/time.ts';
import { assessIn } from '../assess.ts';
import { type Binding, loadBinding } from '../binding.ts';
import { type Accepted, isStale, listAccepted } from '../entry.ts';
import { listDevices, snapshotJson } from '../host/inventory.ts';
import { Survey } from '../survey.ts';
import { loadPresent } from '../trust.ts';
import { openAgent, openSysfs, STATE, SYSFS } from './options.ts';
import { gatesJson } from './show.ts';

export const listCommand: CommandSpec = {
  name: 'list',
  summary: 'show the devices of this host, whether each could be bound, and if not why',
  options: [STATE, SYSFS],
  examples: ['ironport-agent list', 'ironport-agent list --json'],
  schema: 'ironport-agent/list/v1',
  async run(context) {
    const agent = openAgent(context);
    const sysfs = await openSysfs(context);
    const accepted = await listAccepted(agent);
    const now = await loadPresent(agent);
    const survey = new Survey(agent, sysfs);
    const rows: Row[] = [];
    for (const bdf of await listDevices(survey.sysfs))
      rows.push(await rowOf(survey, bdf, accepted, now));
    const heading = ['ADDRESS', 'ID', 'DRIVER', 'GROUP', 'BINDABLE', 'WHY NOT, OR DRIVERS FOR IT'];
    return {
      data: { devices: rows.map(({ data }) => data) },
      text: table([heading, ...rows.map(({ cells }) => cells)]),
    };
  },
};

interface Row {
  readonly data: JsonObject;
  readonly cells: readonly string[];
}

async function rowOf(
  survey: Survey,
  bdf: string,
  accepted: readonly Accepted[],
  now: Instant,
): Promise<Row> {
  try {
    const { device, decisions } = await assessIn(survey, bdf);
    const refused = decisions.flatMap(({ objection }) => objection?.what ?? []);
    const drivers = accepted
      .filter(({ ceiling }) => ceiling.devices.some((match) => matchesDevice(match, device)))
      .map(({ artifact }) => artifact.path);
    const binding = await loadBinding(survey.agent, bdf);
    const bound = binding === undefined ? null : boundJson(binding, accepted, now);
    const id = `${hexId(device.vendor, 4).slice(2)}:${hexId(device.device, 4).slice(2)}`;
    return {
      data: {
        ...snapshotJson(device),
        bindable: refused.length === 0,
        gates: gatesJson(decisions),
        drivers,
        bound,
      },
      cells: [
        bdf,
        id,
        device.binding.driver ?? '-',
        device.group === null ? '-' : String(device.group.id),
        refused.length === 0 ? 'yes' : 'no',
        [...boundText(bound), refused[0] ?? drivers.join(', ')].join('; '),
      ],
    };
  } catch (thrown) {
    // One device that cannot be read hides none of the others.
    const { code, message } = asIronError(thrown);
    return {
      data: { address: bdf, bindable: false, error: { code, message } },
      cells: [bdf, '?', '?', '?', 'no', message],
    };
  }
}

/** For which driver it is bound, and whether that rests on metadata past its expiry. */
function boundJson(
  { driver }: Binding,
  accepted: readonly Accepted[],
  now: Instant,
): { driver: string; stale: boolean } {
  return { driver: driver.path, stale: isStale(accepted, driver, now) };
}

function boundText(bound: ReturnType<typeof boundJson> | null): string[] {
  return bound === null ? [] : [`bound for ${bound.driver}${bound.stale ? ', stale' : ''}`];
}
