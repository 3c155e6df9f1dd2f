/**
 * What a vendor asks of device and host before its driver may run: that the device attested itself,
 * and what the host's measured boot came to. Who measures is the agent's affair; what follows from
 * the answer is decided here.
 */

import type { Node } from '../json/decode.ts';
import { coreError } from './core-errors.ts';

/** IronShim-rs `BootTrust`, best first. */
export const BOOT_STATES = ['trusted', 'degraded', 'untrusted'] as const;
export type BootState = (typeof BOOT_STATES)[number];

/** The worst boot state with which the driver still runs; `any` asks nothing. */
export const BOOT_REQUIREMENTS = ['any', 'degraded', 'trusted'] as const;
export type BootRequirement = (typeof BOOT_REQUIREMENTS)[number];

export interface Requirements {
  readonly deviceAttestation: boolean;
  readonly bootState: BootRequirement;
}

export const NO_REQUIREMENTS: Requirements = { deviceAttestation: false, bootState: 'any' };

/** What the agent found out. Undefined: nobody measured it, which is not the same as good. */
export interface Attested {
  readonly device?: boolean;
  readonly boot?: BootState;
}

/** Reads `{device_attestation, boot_state}`. */
export function parseRequirements(node: Node): Requirements {
  node.only('device_attestation', 'boot_state');
  return {
    deviceAttestation: node.get('device_attestation').boolean(),
    bootState: node.get('boot_state').oneOf(...BOOT_REQUIREMENTS),
  };
}

/** Throws `E_AGENT_REFUSED` when what was found out does not answer what is required. */
export function checkRequirements(requires: Requirements, attested: Attested): void {
  if (requires.deviceAttestation && attested.device !== true) {
    throw coreError('AccessDenied', 'the driver asks for a device that attests itself', {
      why:
        attested.device === undefined
          ? 'this agent took no attestation of the device'
          : 'its attestation did not verify',
      hint: 'nothing was changed; the driver runs where the device can be attested',
      code: 'E_AGENT_REFUSED',
    });
  }
  if (requires.bootState === 'any') return;
  if (attested.boot === undefined) {
    throw coreError('AccessDenied', `the driver asks for a ${requires.bootState} boot`, {
      why: 'nobody measured how this host booted',
      hint: 'nothing was changed; the driver runs where the boot is measured',
      code: 'E_AGENT_REFUSED',
    });
  }
  if (BOOT_STATES.indexOf(attested.boot) > BOOT_STATES.indexOf(requires.bootState)) {
    throw coreError('AccessDenied', `the driver asks for a ${requires.bootState} boot`, {
      why: `this host's is ${attested.boot}`,
      hint: 'nothing was changed; find out what was booted',
      code: 'E_AGENT_REFUSED',
    });
  }
}

/**
 * IronShim-rs `MeasuredBootState::release_gate`: trusted passes, degraded waits (`E_TRY_AGAIN`),
 * untrusted is refused.
 */
export function releaseGate(boot: BootState): void {
  if (boot === 'trusted') return;
  if (boot === 'degraded') throw coreError('RateLimited', 'the boot of this host is degraded');
  throw coreError('AccessDenied', 'the boot of this host is not trusted', {
    code: 'E_AGENT_REFUSED',
  });
}
