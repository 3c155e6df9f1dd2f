/** The operators' commands. They make signed files, and hand none of them to anybody. */

import type { CommandSpec } from '../../shared/cli/command.ts';
import { ceremony } from '../commands/ceremony.ts';
import { keyMake, keyName, keyShow } from '../commands/key.ts';
import { keyCompromised, keyLost } from '../commands/key-gone.ts';
import { lostDeclare } from '../commands/lost.ts';
import { retentionClear, retentionSet } from '../commands/retention-window.ts';
import { reviewersClear, reviewersSet } from '../commands/reviewers.ts';
import {
  revocationsAdd,
  revocationsDenyKey,
  revocationsDiff,
  revocationsFloor,
  revocationsNew,
  revocationsShow,
  revocationsSign,
} from '../commands/revocations.ts';
import { revocationsInit, revocationsRenew } from '../commands/revocations-renew.ts';
import { rootRenew, rootRotate } from '../commands/root.ts';
import { sign } from '../commands/sign.ts';
import { targetsRenew } from '../commands/targets.ts';
import { vendorAdd, vendorList, vendorShow } from '../commands/vendor.ts';
import { vendorRemove, vendorRotateKeys, vendorSuspend } from '../commands/vendor-change.ts';

const revocationCommands: readonly CommandSpec[] = [
  revocationsInit,
  revocationsNew,
  revocationsFloor,
  revocationsAdd,
  revocationsDenyKey,
  revocationsSign,
  revocationsShow,
  revocationsDiff,
  revocationsRenew,
];

export const operatorCommands: readonly CommandSpec[] = [
  keyMake,
  keyName,
  keyShow,
  ceremony,
  sign,
  rootRotate,
  rootRenew,
  targetsRenew,
  keyLost,
  keyCompromised,
  vendorShow,
  vendorAdd,
  vendorList,
  vendorRotateKeys,
  vendorSuspend,
  vendorRemove,
  reviewersSet,
  reviewersClear,
  retentionSet,
  retentionClear,
  lostDeclare,
  ...revocationCommands,
];
