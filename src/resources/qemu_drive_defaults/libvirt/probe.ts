import { gunzipSync } from 'node:zlib';
import { shellQuote } from '../../../lib/shell.ts';
import { APPARMOR, APPARMOR_RULES, KEPT_DOMAINS, KEPT_URI } from '../paths.ts';
import type { QemuDriveDefaults } from '../schema.ts';
import { type Domain, isUuid, parseDomains } from './domain.ts';

/** What libvirt answered. */
export interface LibvirtState {
  /** unasked: no policy, and nothing of an earlier one; missing: no virsh here; error: it did not answer */
  is: 'unasked' | 'missing' | 'error' | 'asked';
  error: string;
  /** the driver that an earlier apply used; null where none did */
  keptUri: string | null;
  /** of libvirt's daemon, such as 11.3.0; '' where it is not told */
  version: string;
  /** persistent definitions of domains that the policy names, or that blkfleet changed before */
  domains: readonly Domain[];
  /** uuids of those that the policy names */
  chosen: ReadonlySet<string>;
  running: ReadonlySet<string>;
  /** definitions before the first change, by uuid */
  originals: ReadonlyMap<string, Domain>;
  /** command lines that libvirt would make, by uuid */
  natives: ReadonlyMap<string, string>;
  /** local rules of AppArmor: latin1 text, null where there is no such file, undefined where there is no AppArmor */
  apparmor?: string | null;
}

const MAX_DOMAINS = 2000;
const MAX_UNPACKED = 64 * 1024 * 1024;
/** One virsh gets so many domains, as its commands are one argument. */
const DOMAINS_A_CALL = 200;

/** sh text that prints lines `libvirt …`; virsh is started only where a policy is declared, or kept from before. */
export function libvirtProbe({ libvirt }: QemuDriveDefaults): string {
  const patterns = (libvirt?.domains ?? []).map(shellPattern).join('|');
  const uri = libvirt ? shellQuote(libvirt.uri) : '"$qemu_drive_defaults_kept_uri"';
  return `qemu_drive_defaults_pack() { gzip -c | base64 -w 0; echo; }
qemu_drive_defaults_dump() {
  if [ -z "$qemu_drive_defaults_dumps" ]; then return 0; fi
  printf 'libvirt dumps '; timeout -k 2 60 virsh -q -c "$qemu_drive_defaults_uri" "$qemu_drive_defaults_dumps" 2>/dev/null | qemu_drive_defaults_pack
  printf 'libvirt natives '; timeout -k 2 60 virsh -q -c "$qemu_drive_defaults_uri" "$qemu_drive_defaults_natives" 2>&1 | qemu_drive_defaults_pack
  qemu_drive_defaults_dumps= qemu_drive_defaults_natives= qemu_drive_defaults_i=0
}
qemu_drive_defaults_libvirt() {
  qemu_drive_defaults_kept_uri=$(cat ${KEPT_URI} 2>/dev/null)
  if [ -n "$qemu_drive_defaults_kept_uri" ]; then printf 'libvirt uri %s\\n' "$qemu_drive_defaults_kept_uri"; fi
  qemu_drive_defaults_uri=${uri}
  if ! command -v virsh >/dev/null 2>&1; then echo 'libvirt missing'; return 0; fi
  qemu_drive_defaults_out=$(timeout -k 2 30 virsh -q -c "$qemu_drive_defaults_uri" version --daemon 2>&1) || {
    printf 'libvirt error %s\\n' "$(printf %s "$qemu_drive_defaults_out" | head -c 400 | tr '\\n' ' ')"; return 0; }
  echo 'libvirt asked'
  printf '%s\\n' "$qemu_drive_defaults_out" | head -c 2000 | sed 's/^/libvirt says /'
  timeout -k 2 30 virsh -q -c "$qemu_drive_defaults_uri" list --uuid 2>/dev/null | sed 's/^/libvirt running /'
  qemu_drive_defaults_dumps= qemu_drive_defaults_natives= qemu_drive_defaults_i=0
  while read -r qemu_drive_defaults_u qemu_drive_defaults_n; do
    case $qemu_drive_defaults_u in ''|*[!0-9a-f-]*) continue;; esac
    case $qemu_drive_defaults_n in
      ${patterns === '' ? '' : `${patterns}) echo "libvirt chosen $qemu_drive_defaults_u";;\n      `}*) if [ ! -e "${KEPT_DOMAINS}/$qemu_drive_defaults_u.xml" ]; then continue; fi;;
    esac
    qemu_drive_defaults_dumps="$qemu_drive_defaults_dumps dumpxml --inactive $qemu_drive_defaults_u;"
    qemu_drive_defaults_natives="$qemu_drive_defaults_natives echo native $qemu_drive_defaults_u; domxml-to-native qemu-argv --domain $qemu_drive_defaults_u;"
    qemu_drive_defaults_i=$((qemu_drive_defaults_i + 1))
    if [ $qemu_drive_defaults_i -eq ${DOMAINS_A_CALL} ]; then qemu_drive_defaults_dump; fi
  done <<bf_domains
$(timeout -k 2 30 virsh -q -c "$qemu_drive_defaults_uri" list --all --persistent --uuid --name 2>/dev/null | head -n ${MAX_DOMAINS + 1})
bf_domains
  qemu_drive_defaults_dump
  for qemu_drive_defaults_f in ${KEPT_DOMAINS}/*.xml; do
    if [ -e "$qemu_drive_defaults_f" ]; then printf 'libvirt originals '; cat ${KEPT_DOMAINS}/*.xml | qemu_drive_defaults_pack; break; fi
  done
  if [ -f ${APPARMOR_RULES} ]; then
    printf 'libvirt apparmor '
    if [ -f ${APPARMOR} ]; then head -c 65537 ${APPARMOR} | qemu_drive_defaults_pack; else echo none; fi
  fi
}
${libvirt ? 'qemu_drive_defaults_libvirt\n' : `if [ -d ${KEPT_DOMAINS} ]; then qemu_drive_defaults_libvirt; fi\n`}`;
}

/** A pattern of names as sh matches it: only * and ? are special. */
function shellPattern(pattern: string): string {
  return pattern
    .split(/([*?])/)
    .map((part) => (part === '*' || part === '?' || part === '' ? part : shellQuote(part)))
    .join('');
}

/** Reads the lines behind `libvirt `. @throws Error where they make no sense */
export function parseLibvirt(lines: readonly string[]): LibvirtState {
  const domains = new Map<string, Domain>();
  const originals = new Map<string, Domain>();
  const natives = new Map<string, string>();
  const chosen = new Set<string>();
  const running = new Set<string>();
  const state = { is: 'unasked', error: '', keptUri: null, version: '' } as Pick<
    LibvirtState,
    'is' | 'error' | 'keptUri' | 'version'
  >;
  let apparmor: string | null | undefined;
  for (const line of lines) {
    const space = line.indexOf(' ');
    const [word, rest] = space < 0 ? [line, ''] : [line.slice(0, space), line.slice(space + 1)];
    if (word === 'missing' || word === 'asked') state.is = word;
    else if (word === 'error') Object.assign(state, { is: 'error', error: rest.trim().slice(0, 400) });
    else if (word === 'uri') state.keptUri = uriOf(rest);
    else if (word === 'says')
      state.version =
        /^Running against daemon: (\d{1,3}\.\d{1,3}\.\d{1,3})$/.exec(rest)?.[1] ?? state.version;
    else if (word === 'chosen' || word === 'running') {
      if (isUuid(rest)) (word === 'chosen' ? chosen : running).add(rest);
    } else if (word === 'dumps')
      for (const domain of parseDomains(unpack(rest))) domains.set(domain.uuid, domain);
    else if (word === 'originals')
      for (const domain of parseDomains(unpack(rest))) originals.set(domain.uuid, domain);
    else if (word === 'natives') readNatives(unpack(rest), natives);
    else if (word === 'apparmor') apparmor = rest === 'none' ? null : unpack(rest);
    else throw new Error('a line that was not asked for');
  }
  if (domains.size > MAX_DOMAINS) throw new Error(`more than ${MAX_DOMAINS} domains`);
  return {
    ...state,
    domains: [...domains.values()],
    chosen,
    running,
    originals,
    natives,
    ...(apparmor === undefined ? {} : { apparmor }),
  };
}

/** From `native UUID` and what virsh says of that domain, again and again; virsh's echo ends no line. */
function readNatives(text: string, natives: Map<string, string>): void {
  const [, ...parts] = text.split(/native ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/);
  for (let at = 0; at + 1 < parts.length; at += 2) {
    const said = parts[at + 1]!.trim();
    if (said !== '') natives.set(parts[at]!, said);
  }
}

function unpack(text: string): string {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw new Error('what is no base64');
  return gunzipSync(Buffer.from(text, 'base64'), { maxOutputLength: MAX_UNPACKED }).toString('latin1');
}

function uriOf(text: string): string {
  if (!/^[a-z][a-z0-9+]*:\/\/\/[\w/?=.-]{0,200}$/.test(text)) throw new Error('a URI that is none');
  return text;
}
