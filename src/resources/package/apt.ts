import { parseApt, probeApt } from './apt-probe.ts';
import { installStep, removeStep } from './apt-steps.ts';
import type { PackageManager } from './manager.ts';

/** apt-get and dpkg, as on Debian and Ubuntu. */
export const apt: PackageManager = {
  id: 'apt',
  probe: probeApt,
  parse: parseApt,
  install: installStep,
  remove: removeStep,
  repairHint: 'run `dpkg --configure -a` and `apt-get -f install` there, then try again',
};
