/** What is wrong with a dkms.conf; `line` starts at 1, 0 where something is missing. */
export interface DkmsConfProblem {
  line: number;
  message: string;
  hint?: string;
}

/** One module of a package, as dkms names its files (without .ko). */
export interface DkmsModule {
  /** file that the build makes */
  built: string;
  /** file that is installed, another name where DEST_MODULE_NAME says so */
  installed: string;
}

/** The part of a dkms.conf that we work with. */
export interface DkmsConf {
  name: string;
  version: string;
  modules: readonly DkmsModule[];
  /** BUILD_EXCLUSIVE_*: extended regular expressions and version bounds; undefined is no limit */
  exclusive: { kernel?: string; arch?: string; min?: string; max?: string };
}

const SAFE_NAME = /^[A-Za-z0-9][A-Za-z0-9._+~-]*$/;

const PLAIN = new Set([
  'PACKAGE_NAME',
  'PACKAGE_VERSION',
  'BUILT_MODULE_NAME',
  'BUILT_MODULE_LOCATION',
  'DEST_MODULE_NAME',
  'DEST_MODULE_LOCATION',
  'MAKE',
  'CLEAN',
  'STRIP',
  'NO_WEAK_MODULES',
  'BUILD_EXCLUSIVE_KERNEL',
  'BUILD_EXCLUSIVE_KERNEL_MIN',
  'BUILD_EXCLUSIVE_KERNEL_MAX',
  'BUILD_EXCLUSIVE_ARCH',
]);

const REFUSED: Record<string, string> = {
  AUTOINSTALL:
    'dkms would build it in the hooks of kernel packages, where a build that fails leaves apt broken and a kernel without initrd; blkfleet has its own hooks for that',
  PRE_BUILD: 'dkms before 3.1.7 ignores its exit status; do it in the Makefile',
  POST_BUILD: 'do it in the Makefile',
  PRE_INSTALL: 'a package of ours needs no script at installation',
  POST_INSTALL: 'dkms ignores its exit status',
  POST_ADD: 'dkms ignores its exit status',
  POST_REMOVE: 'dkms ignores its exit status',
  OBSOLETE_BY: 'dkms before 3.1 then claims installed without a file; use BUILD_EXCLUSIVE_KERNEL_MAX',
  BUILD_DEPENDS: 'dkms before 3.1.4 ends with 0 where it is not met',
  BUILD_EXCLUSIVE_CONFIG: 'dkms before 3.0.11 ignores it; let the source decide by compile probes',
  REMAKE_INITRD: 'dkms 3 ignores it',
  MODULES_CONF: 'dkms 3 ignores it; parameters are declared with kernel_module',
};

/**
 * Reads a dkms.conf without running it. dkms runs the file as a shell script, as root, at each of its calls; ours is
 * data: assignments and comments, nothing else. Only $PACKAGE_NAME and $PACKAGE_VERSION are put in where names are read.
 * @param text the file; from the operator's own disk, yet checked as it becomes root's code on every host
 * @returns what it says, and all problems; `conf` is undefined as soon as there is one
 */
export function parseDkmsConf(text: string): { conf?: DkmsConf; problems: DkmsConfProblem[] } {
  const problems: DkmsConfProblem[] = [];
  const values = new Map<string, { value: string; line: number }>();
  for (const [index, raw] of text.split('\n').entries()) {
    const assignment = parseLine(raw, index + 1, problems);
    if (!assignment) continue;
    if (values.has(assignment.key))
      problems.push({ line: index + 1, message: `${assignment.key} is given twice` });
    values.set(assignment.key, { value: assignment.value, line: index + 1 });
  }
  const name = required(values, 'PACKAGE_NAME', problems);
  const version = required(values, 'PACKAGE_VERSION', problems);
  const modules = readModules(values, name, version, problems);
  const exclusive = readExclusive(values, problems);
  return problems.length > 0 ? { problems } : { conf: { name, version, modules, exclusive }, problems };
}

function parseLine(
  raw: string,
  line: number,
  problems: DkmsConfProblem[],
): { key: string; value: string } | undefined {
  const trimmed = raw.trim();
  if (trimmed === '' || trimmed.startsWith('#')) return undefined;
  const match = /^([A-Za-z_]+)(?:\[(\d{1,3})\])?=(.*)$/.exec(trimmed);
  const value = match ? unquote(match[3]!) : undefined;
  if (!match || value === undefined) {
    problems.push({
      line,
      message: 'is not a comment or a plain KEY="value"',
      hint: 'dkms runs this file as root at each call: conditions, commands and $( ) have no place in it',
    });
    return undefined;
  }
  const base = match[1]!;
  // AUTOINSTALL="" is the same as none.
  if (REFUSED[base] !== undefined && value !== '')
    problems.push({ line, message: `${base} must not be set: ${REFUSED[base]}` });
  else if (!PLAIN.has(base) && REFUSED[base] === undefined)
    problems.push({ line, message: `${base} is no directive of dkms that a package of ours can use` });
  return { key: match[2] === undefined ? base : `${base}[${Number(match[2])}]`, value };
}

/** A value as one shell word without anything that the shell would run; undefined where it is more. */
function unquote(text: string): string | undefined {
  const match = /^(?:"((?:[^"\\`]|\\[^`])*)"|'([^']*)'|([A-Za-z0-9_./:+~,-]*))\s*(?:#.*)?$/.exec(text);
  if (!match) return undefined;
  const [, double, single, bare = ''] = match;
  if (double === undefined) return single ?? bare;
  // Between double quotes a backslash escapes only these; what is left of $ must be a plain variable or a literal.
  const active = double.replace(/\\[\\"$]/g, '');
  if (/\$(?:\((?!$)|\($|\{(?![A-Za-z_]+\}))/.test(active)) return undefined;
  return double.replace(/\\([\\"$])/g, '$1');
}

type Values = ReadonlyMap<string, { value: string; line: number }>;

function required(values: Values, key: string, problems: DkmsConfProblem[]): string {
  const found = values.get(key);
  if (!found || found.value === '') problems.push({ line: found?.line ?? 0, message: `${key} is missing` });
  else if (!SAFE_NAME.test(found.value) || found.value.length > 64)
    problems.push({
      line: found.line,
      message: `${key} must begin with a letter or digit and hold only those and . _ + ~ -, 64 at most`,
      hint: 'it becomes a folder name; spaces and / confuse dkms',
    });
  return found?.value ?? '';
}

function readModules(
  values: Values,
  name: string,
  version: string,
  problems: DkmsConfProblem[],
): DkmsModule[] {
  const modules: DkmsModule[] = [];
  const read = (key: string) => {
    const found = values.get(key);
    const value = found?.value
      .replace(/\$(PACKAGE_NAME|\{PACKAGE_NAME\})/g, () => name)
      .replace(/\$(PACKAGE_VERSION|\{PACKAGE_VERSION\})/g, () => version);
    if (value && !SAFE_NAME.test(value))
      problems.push({ line: found!.line, message: `${key} is no plain file name` });
    return value || undefined;
  };
  for (const key of ['BUILT_MODULE_NAME', 'DEST_MODULE_NAME', 'DEST_MODULE_LOCATION']) {
    const found = values.get(key);
    if (found) problems.push({ line: found.line, message: `${key} needs an index: ${key}[0]` });
  }
  for (
    let i = 0;
    i === 0 || values.has(`BUILT_MODULE_NAME[${i}]`) || values.has(`DEST_MODULE_LOCATION[${i}]`);
    i++
  ) {
    const built = read(`BUILT_MODULE_NAME[${i}]`);
    if (!built) problems.push({ line: 0, message: `BUILT_MODULE_NAME[${i}] is missing` });
    else modules.push({ built, installed: read(`DEST_MODULE_NAME[${i}]`) ?? built });
    const location = values.get(`DEST_MODULE_LOCATION[${i}]`);
    if (!location || !/^\/(kernel|updates|extra)(\/[A-Za-z0-9_-]+)*$/.test(location.value))
      problems.push({
        line: location?.line ?? 0,
        message: `DEST_MODULE_LOCATION[${i}] must be a folder below /kernel, /updates or /extra`,
        hint: 'such as "/kernel/extra"; distributions put it elsewhere, and blkfleet looks there',
      });
  }
  return modules;
}

function readExclusive(values: Values, problems: DkmsConfProblem[]): DkmsConf['exclusive'] {
  const exclusive: DkmsConf['exclusive'] = {};
  for (const [field, key] of [
    ['kernel', 'BUILD_EXCLUSIVE_KERNEL'],
    ['arch', 'BUILD_EXCLUSIVE_ARCH'],
    ['min', 'BUILD_EXCLUSIVE_KERNEL_MIN'],
    ['max', 'BUILD_EXCLUSIVE_KERNEL_MAX'],
  ] as const) {
    const found = values.get(key);
    if (!found || found.value === '') continue;
    const bound = field === 'min' || field === 'max';
    if (bound ? !/^\d+(\.\d+){0,3}$/.test(found.value) : !isPattern(found.value))
      problems.push({
        line: found.line,
        message: bound ? `${key} must be numbers such as 5.10` : `${key} is no extended regular expression`,
      });
    exclusive[field] = found.value;
  }
  return exclusive;
}

/** Extended regular expressions that mean the same to bash, grep and JavaScript; short, so that none takes long. */
function isPattern(text: string): boolean {
  if (text.length > 200 || /\[:|\\[^.+*?()[\]{}|^$\\-]|\(\?|\n/.test(text)) return false;
  try {
    new RegExp(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * Whether a package may be built for a kernel, by its BUILD_EXCLUSIVE_* and independent of the dkms there: 2.8.4 and
 * Debian's 3.0.10 ignore the bounds. Bounds are compared with the numbers that a release begins with, where the longer
 * is the later, as in dkms: a maximum of 6.12 excludes 6.12.1; write 6.12.999.
 * @returns why not, or undefined
 */
export function excludedBy(conf: DkmsConf, release: string, arch: string): string | undefined {
  const { kernel, arch: machine, min, max } = conf.exclusive;
  const base = /^\d+(\.\d+)*/.exec(release)?.[0] ?? '0';
  if (kernel !== undefined && !new RegExp(kernel).test(release)) return `BUILD_EXCLUSIVE_KERNEL is ${kernel}`;
  if (machine !== undefined && !new RegExp(machine).test(arch)) return `BUILD_EXCLUSIVE_ARCH is ${machine}`;
  if (min !== undefined && compareNumbers(base, min) < 0) return `BUILD_EXCLUSIVE_KERNEL_MIN is ${min}`;
  if (max !== undefined && compareNumbers(base, max) > 0) return `BUILD_EXCLUSIVE_KERNEL_MAX is ${max}`;
  return undefined;
}

function compareNumbers(a: string, b: string): number {
  const [left, right] = [a.split('.').map(Number), b.split('.').map(Number)];
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? -1) - (right[i] ?? -1);
    if (difference !== 0) return difference;
  }
  return 0;
}
