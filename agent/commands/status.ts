/** `ironport-agent status`: what is accepted, what is bound, and what did not end. */

import type { CommandSpec } from '../../shared/cli/command.ts';
import { table } from '../../shared/cli/table.ts';
import { asIronError, isIronError } from '../../shared/errors.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { agentState } from '../../shared/layout.ts';
import { findRevocation } from '../../shared/revocation/judge.ts';
import { formatInstant, type Instant } from '../../shared/time.ts';
import type { Agent } from '../agent.ts';
import { type Binding, readBindings } from '../binding.ts';
import { type BindingState, describeState, sameState, stateJson } from '../binding-state.ts';
import { type Accepted, isStale, listAccepted } from '../entry.ts';
import { readBinding } from '../host/inventory.ts';
import { readVfState } from '../host/sriov.ts';
import type { Sysfs } from '../host/sysfs.ts';
import { findWriters } from '../host/write.ts';
import { loadJournal } from '../journal.ts';
import { type Kept, listKept, loadKept } from '../kept.ts';
import { unfinished } from '../recover.ts';
import { hitsAmong, loadInForce, subjectOf } from '../revocations.ts';
import { Survey } from '../survey.ts';
import { loadPresent } from '../trust.ts';
import { listUpgrades, loadUpgrade } from '../upgrade-note.ts';
import { folderOf } from '../vfs/parent.ts';
import { listSetsOf, loadVfSet, type VfSet } from '../vfs/set.ts';
import { loadCrashes } from '../watch/crashes.ts';
import { openAgent, openSysfs, STATE, SYSFS } from './options.ts';
import { hitText } from './show.ts';
import { vfSetJson } from './vfs.ts';

export const statusCommand: CommandSpec = {
  name: 'status',
  summary: 'show what was accepted, what is bound, and changes that did not end',
  options: [STATE, SYSFS],
  examples: ['ironport-agent status'],
  schema: 'ironport-agent/status/v1',
  async run(context) {
    const agent = openAgent(context);
    const survey = new Survey(agent, await openSysfs(context));
    const { sysfs } = survey;
    const now = await loadPresent(agent);
    const accepted = await listAccepted(agent);
    const inForce = await loadInForce(agent);
    const { bindings: bound, damaged } = await readBindings(agent);
    const found = await hitsAmong(agent, inForce, bound);
    const hits = new Map(found.map((hit) => [hit.binding.device, hit]));
    const bindings: JsonObject[] = [];
    const crashed: string[] = [];
    for (const binding of bound) {
      const revoked = hits.get(binding.device)?.revoked.what ?? null;
      const stale = isStale(accepted, binding.driver, now);
      const crash = await crashJson(agent, binding);
      bindings.push({ ...(await bindingJson(survey, binding)), stale, revoked, crash });
      const { at, why } = crash ?? {};
      if (crash !== null) crashed.push(`crashed: ${binding.device} at ${at}, ${why}`);
    }
    const sets: JsonObject[] = [];
    const damagedSets: string[] = [];
    for (const device of await listSetsOf(agent)) {
      const set = await loadVfSet(agent, device).catch(() => null);
      if (set === null) damagedSets.push(device);
      else if (set !== undefined) sets.push(await setJson(survey, set));
    }
    const kept: JsonObject[] = [];
    for (const device of await listKept(agent))
      kept.push(await keptJson(agent, device, accepted, now));
    const changes: JsonObject[] = [];
    for (const device of damaged) changes.push(unreadable(device, 'binding'));
    for (const device of damagedSets) changes.push(unreadable(device, 'virtual functions'));
    for (const device of await unfinished(agent))
      changes.push(await changeJson(agent, sysfs, device));
    for (const device of await listUpgrades(agent)) {
      const note = await loadUpgrade(agent, device).catch(() => undefined);
      const last = note === undefined ? 'unreadable' : `from ${note.from.path} to ${note.to.path}`;
      changes.push({ device, purpose: 'upgrade', last, stuck_process: null });
    }
    return {
      data: {
        accepted: accepted.map((entry) => ({
          path: entry.artifact.path,
          sha256: entry.artifact.sha256,
          generation: entry.generation,
          fresh_until: formatInstant(entry.freshUntil),
          fresh: entry.freshUntil > now,
          revoked: findRevocation(inForce, subjectOf(entry))?.what ?? null,
        })),
        bindings,
        virtual_functions: sets,
        kept,
        unfinished: changes,
        // The helper has some: see `agent/helper/perform.ts`.
        processes: [],
      },
      text: [
        `accepted (${accepted.length})`,
        table(
          accepted.map((entry) => [
            '',
            entry.artifact.path,
            entry.freshUntil > now ? `fresh until ${formatInstant(entry.freshUntil)}` : 'stale',
            findRevocation(inForce, subjectOf(entry)) === undefined ? '' : 'REVOKED',
          ]),
        ),
        `bound (${bindings.length})`,
        table(
          bindings.map((one) => [
            '',
            `${one.device}`,
            `${one.driver}`,
            `${one.state}${one.stale === true ? ', stale' : ''}`,
          ]),
        ),
        ...crashed,
        ...kept.map(
          (one) => `kept: ${one.device}, ${one.driver}${one.stale === true ? ', stale' : ''}`,
        ),
        ...(sets.length === 0 ? [] : [`virtual functions of (${sets.length})`]),
        table(sets.map((one) => ['', `${one.device}`, `${one.vfs}`, `${one.state}`])),
        ...[...hits.values()].map(hitText),
        ...changes.map(
          (one) =>
            `not ended: ${one.purpose} of ${one.device}, at "${one.last}"${one.stuck_process === null ? '; run `ironport-agent recover`' : `; process ${one.stuck_process} waits in the kernel`}`,
        ),
      ]
        .filter((line) => line !== '')
        .join('\n'),
    };
  },
};

async function bindingJson(survey: Survey, binding: Binding): Promise<JsonObject> {
  const found = await look(survey.sysfs, binding.device);
  const isThisBoot = binding.boot === (await survey.boot());
  const state =
    found === undefined
      ? 'the device is gone'
      : !isThisBoot
        ? 'made before the last start of the machine'
        : sameState(found, binding.bound)
          ? 'as it was left'
          : `changed by somebody: ${describeState(found)}`;
  return {
    device: binding.device,
    driver: binding.driver.path,
    grant_sha256: binding.grantSha256,
    domain: binding.domain,
    bound_at: formatInstant(binding.boundAt),
    found: stateJson(binding.found),
    now: found === undefined ? null : stateJson(found),
    state,
  };
}

/** How a driver ended badly last, since the device was bound. */
async function crashJson(agent: Agent, { device, boundAt }: Binding): Promise<JsonObject | null> {
  const { at, last } = await loadCrashes(agent, device);
  const latest = at.at(-1);
  if (latest === undefined || latest < boundAt) return null;
  return { at: formatInstant(latest), why: last ?? 'its driver crashed' };
}

async function setJson(survey: Survey, set: VfSet): Promise<JsonObject> {
  const { sysfs } = survey;
  const folder = await folderOf(sysfs, set.device);
  const found = folder && {
    ...(await readBinding(sysfs, folder)),
    vfs: await readVfState(sysfs, folder),
  };
  return {
    ...vfSetJson(set),
    made_at: formatInstant(set.madeAt),
    state: stateOfSet(set, found || undefined, set.boot === (await survey.boot())),
  };
}

function stateOfSet({ made }: VfSet, found: BindingState | undefined, isThisBoot: boolean): string {
  if (!isThisBoot) return 'made before the last start of the machine';
  if (found === undefined) return 'the physical function is gone';
  return sameState(found, made)
    ? 'as they were made'
    : `changed by somebody: ${describeState(found)}`;
}

/** What is declared for the device, and whether it rests on metadata that is past its expiry. */
async function keptJson(
  agent: Agent,
  device: string,
  accepted: readonly Accepted[],
  now: Instant,
): Promise<JsonObject> {
  try {
    const { driver, manner } = (await loadKept(agent, device)) as Kept;
    const stale = isStale(accepted, driver, now);
    return { device, driver: driver.path, hold: manner.hold, stale, error: null };
  } catch (thrown) {
    // One that cannot be read hides none of the others.
    const { code, message } = asIronError(thrown);
    return { device, driver: null, hold: null, stale: null, error: { code, message } };
  }
}

/** What cannot be read may be bound, or have virtual functions: it is told, and hides none of the others. */
function unreadable(device: string, what: string): JsonObject {
  return { device, purpose: 'unknown', last: `unreadable ${what}`, stuck_process: null };
}

/** A change that did not end; one whose journal cannot be read hides none of the others. */
async function changeJson(agent: Agent, sysfs: Sysfs, device: string): Promise<JsonObject> {
  const [writer = null] = await findWriters(sysfs, device, agent.proc);
  const place = agent.place(agentState.journal(device));
  const found = await loadJournal(place).catch(() => undefined);
  const last =
    found === undefined ? 'unreadable' : (found.entries.at(-1)?.detail ?? 'nothing begun');
  return { device, purpose: found?.head.purpose ?? 'unknown', last, stuck_process: writer };
}

async function look(sysfs: Sysfs, device: string): Promise<BindingState | undefined> {
  try {
    return await readBinding(sysfs, await sysfs.deviceFolder(device));
  } catch (error) {
    if (isIronError(error, 'E_NOT_FOUND')) return undefined;
    throw error;
  }
}
