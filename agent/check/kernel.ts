/** Checks about what the kernel has: VFIO's two ways, lockdown, and the means to confine a driver. */

import { isIronError } from '../../shared/errors.ts';
import { type HostCheck, ok } from './finding.ts';

export const backend: HostCheck = ({ backends }) =>
  backends.length > 0
    ? ok('backend', `devices can be held by ${backends.join(' and by ')}`)
    : {
        check: 'backend',
        state: 'fails',
        what: 'the kernel shows neither /dev/iommu nor /dev/vfio/vfio',
        remedy: 'modprobe iommufd, or vfio_iommu_type1 where the kernel has no iommufd',
      };

export const lockdown: HostCheck = ({ lockdown: level }) => {
  if (level === 'absent') return ok('lockdown', 'this kernel has no lockdown');
  if (level === 'none') return ok('lockdown', 'the kernel is not locked down');
  if (level === null)
    return {
      check: 'lockdown',
      state: 'unknown',
      what: 'whether the kernel is locked down cannot be told',
      remedy: 'mount securityfs: mount -t securityfs securityfs /sys/kernel/security',
    };
  return {
    check: 'lockdown',
    state: 'note',
    what: `the kernel is locked down (${level}): sysfs neither writes configuration space nor maps registers; binding and VFIO work`,
    remedy: 'nothing to do for drivers that are held by VFIO, which all are here',
  };
};

const NEEDED = ['memory', 'pids'];

export const controlGroup: HostCheck = ({ controllers }) => {
  const check = 'control-group';
  if (controllers === undefined)
    return {
      check,
      state: 'fails',
      what: 'cgroup v2 is not mounted: nothing bounds the memory and the processes of a driver',
      remedy: 'mount it at /sys/fs/cgroup (systemd.unified_cgroup_hierarchy=1 where systemd runs)',
    };
  const missing = NEEDED.filter((name) => !controllers.includes(name));
  if (missing.length === 0) return ok(check, 'memory and processes of a driver can be bounded');
  return {
    check,
    state: 'fails',
    what: `cgroup v2 has no ${missing.join(' and no ')}: a driver would not be bounded`,
    remedy: 'give it the controllers: see cgroup_disable= and whether the first version has them',
  };
};

export const sandbox: HostCheck = ({ sandbox: tried }) => {
  if (tried === undefined)
    return {
      check: 'sandbox',
      state: 'unknown',
      what: 'whether a driver can be confined is tried out on the host itself, by root',
      remedy: 'ask as root, and without --sysfs-root',
    };
  if (!isIronError(tried))
    return ok(
      'sandbox',
      `a program ran confined as user ${tried.user}, by Landlock version ${tried.landlockAbi} and seccomp`,
    );
  return {
    check: 'sandbox',
    state: 'fails',
    what: tried.why === undefined ? tried.message : `${tried.message}: ${tried.why}`,
    remedy: tried.hint ?? 'ironport-agent check-sandbox tries it alone',
  };
};
