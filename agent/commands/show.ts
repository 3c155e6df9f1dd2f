/** How plans, grants and gates look to people. */

import { table } from '../../shared/cli/table.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import type { VfBudget } from '../../shared/manifest/cut.ts';
import { showIdentity } from '../../shared/manifest/device.ts';
import type { Grant } from '../../shared/manifest/grant.ts';
import { grantPredicate } from '../../shared/manifest/grant-document.ts';
import { hexU64, showBytes } from '../../shared/manifest/numbers.ts';
import { showWindow } from '../../shared/manifest/windows.ts';
import { formatInstant } from '../../shared/time.ts';
import { describeState, stateJson } from '../binding-state.ts';
import type { Confined } from '../confine.ts';
import {
  type ConfineStep,
  describeConfineAction,
  describeConfineInverse,
} from '../confine-plan.ts';
import type { Undone } from '../free.ts';
import type { Decision } from '../gates/gates.ts';
import type { DeviceSnapshot } from '../host/inventory.ts';
import { type Action, describeAction, type Plan, writeOf } from '../plan.ts';
import type { Hit } from '../revocations.ts';

/** A running binding that a list of revocations hits. */
export function hitData({ binding, revoked }: Hit): JsonObject {
  const { reason, what, why } = revoked;
  return {
    device: binding.device,
    driver: binding.driver.path,
    code: 'E_REVOKED',
    reason,
    what,
    why,
  };
}

export function hitText({ binding, revoked }: Hit): string {
  return `REVOKED while bound: ${binding.device}, ${binding.driver.path}: ${revoked.what} (${revoked.why}); nothing was done about it: ironport-agent release --device ${binding.device}`;
}

export function planJson(plan: Plan): JsonObject {
  return {
    device: plan.device,
    from: stateJson(plan.from),
    to: stateJson(plan.to),
    steps: plan.steps.map((step) => ({
      number: step.number,
      ...actionJson(step.action, plan.device),
      before: stateJson(step.before),
      after: stateJson(step.after),
      inverse: step.inverse.map((action) => actionJson(action, plan.device)),
    })),
  };
}

function actionJson(action: Action, device: string): JsonObject {
  const { path, text } = writeOf(action, device);
  return { action: describeAction(action), path, write: text };
}

export function planText(plan: Plan): string {
  if (plan.steps.length === 0) return `plan     nothing to do: ${describeState(plan.from)}`;
  const rows = plan.steps.map((step) => {
    const { path, text } = writeOf(step.action, plan.device);
    return [
      `step ${step.number}`,
      describeAction(step.action),
      `${JSON.stringify(text)} > ${path}`,
      `undo: ${step.inverse.map(describeAction).join(', ')}`,
    ];
  });
  return [
    `plan     ${plan.device}`,
    `from     ${describeState(plan.from)}`,
    table(rows),
    `to       ${describeState(plan.to)}`,
  ].join('\n');
}

/** What `apply` undoes before it begins. */
export function undoneJson({ device, purpose, to }: Undone): JsonObject {
  return { device, purpose, to: stateJson(to) };
}

export function undoneText({ device, purpose, to }: Undone): string {
  return `first    undo what did not end: ${purpose} of ${device}, back to ${describeState(to)}`;
}

/** What becomes of the confinement, in `--json`. */
export function confinementJson(
  steps: readonly ConfineStep[],
  confined?: Pick<Confined, 'backend' | 'notes'>,
): JsonObject {
  return {
    confined: confined !== undefined,
    backend: confined?.backend ?? null,
    steps: steps.map(({ number, action }) => ({
      number,
      action: describeConfineAction(action),
      inverse: describeConfineInverse(action),
    })),
    notes: [...(confined?.notes ?? [])],
  };
}

/** The steps that `--hold` adds; or why there are none. */
export function confinementText(steps: readonly ConfineStep[]): string {
  if (steps.length === 0) return 'confine  not confined: no VFIO in this tree';
  return table(
    steps.map(({ number, action }) => [
      `step ${number}`,
      describeConfineAction(action),
      `undo: ${describeConfineInverse(action)}`,
    ]),
  );
}

/** A grant whose numbers were drawn. */
export function grantText(grant: Grant): string {
  const { manifest } = grant;
  return [
    limitsText(grant),
    `manifest ${grant.manifestSha256}`,
    `         driver_id ${hexU64(manifest.driverId)}, iommu_domain ${manifest.iommuDomain}, binding_nonce ${manifest.bindingNonce}`,
  ].join('\n');
}

/** What is granted, without the numbers that are drawn only when it is given. */
export function limitsText(grant: Grant): string {
  const { interrupts, dma } = grant;
  return [
    `grant    ${grant.artifact.path} on ${grant.device.path}, until ${formatInstant(grant.expires)}`,
    ...(grant.mode === 'direct' ? ['direct   the driver has the descriptor of the device'] : []),
    ...grant.mmio.map(
      ({ bar, offset, window, access }) =>
        `mmio     BAR ${bar} + ${hexU64(offset)}: ${showWindow(window)}, ${access}`,
    ),
    ...grant.ports.map(
      ({ bar, window, access }) => `ports    BAR ${bar}: ${showWindow(window)}, ${access}`,
    ),
    `irq      ${showInterrupts(interrupts)}`,
    ...(dma.windows.length === 0
      ? ['dma      none']
      : dma.windows.map(({ window, access }) => `dma      ${showWindow(window)}, ${access}`)),
    ...(grant.vfBudget === null ? [] : [`share    ${showBudget(grant.vfBudget)}`]),
    ...grant.narrowings.map((text) => `less     ${text}`),
  ].join('\n');
}

/** What a virtual function may have of its physical one. */
function showInterrupts({
  kind,
  vectors,
  perSecondBudget,
  burst,
  lifetimeMax,
}: Grant['interrupts']): string {
  if (kind === 'none') return 'none';
  const often = `${kind}, ${vectors} vector${vectors === 1 ? '' : 's'}, ${perSecondBudget} a second`;
  const atOnce = burst === null ? '' : `, ${burst} of a vector at once`;
  return `${often}${atOnce}${lifetimeMax === null ? '' : `, ${lifetimeMax} of a vector in all`}`;
}

export function showBudget({ dmaBytes, mmioBytes, interruptsPerSecond }: VfBudget): string {
  return `${showBytes(dmaBytes)} of DMA, ${showBytes(mmioBytes)} of registers, ${interruptsPerSecond} interrupts a second`;
}

/** The same as data; the resource manifest has numbers that a plan does not draw. */
export function limitsJson(grant: Grant): JsonObject {
  const predicate = { ...grantPredicate(grant) } as Record<string, JsonObject[string]>;
  delete predicate.resource_manifest;
  delete predicate.host;
  return predicate;
}

export function gatesText(decisions: readonly Decision[]): string {
  return table(
    decisions.map(({ gate, objection }) =>
      objection === undefined
        ? ['pass', gate.reason]
        : [
            'REFUSE',
            gate.reason,
            `${gate.code}: ${objection.what}; viable when: ${objection.remedy}`,
          ],
    ),
  );
}

export function gatesJson(decisions: readonly Decision[]): JsonObject[] {
  return decisions.map(({ gate, objection }) => ({
    gate: gate.reason,
    code: gate.code,
    rule: gate.rule,
    pass: objection === undefined,
    what: objection?.what ?? null,
    remedy: objection?.remedy ?? null,
  }));
}

export function deviceText(device: DeviceSnapshot): string {
  const group =
    device.group === null
      ? 'no IOMMU group'
      : `IOMMU group ${device.group.id} (${device.group.type ?? 'type unknown'})`;
  return `device   ${device.path}: ${showIdentity(device)}, ${group}, ${describeState(device.binding)}`;
}
