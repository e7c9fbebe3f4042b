/** What QEMU reads at each start, unless -no-user-config is given. */
export const CONF = '/etc/qemu/qemu.conf';
/** The ready fragments for -readconfig, one a data path. */
export const FRAGMENTS = '/etc/blkfleet/qemu';
/** The fragment of the chosen data path: a link beside the others. */
export const CHOSEN = `${FRAGMENTS}/disk.conf`;
/** The fragments of declared disks. */
export const DISKS = `${FRAGMENTS}/disks`;
/** What blkfleet keeps for itself, for root only. */
export const KEPT = '/var/lib/blkfleet/qemu_drive_defaults';
/** What QEMU saw, with the key of the programs and the file it was read from. */
export const SEEN = `${KEPT}/seen`;
/** Folders that blkfleet made, one a line. */
export const MADE = `${KEPT}/made`;

/** The definitions of libvirt's domains as they were before blkfleet changed them, UUID.xml, and the driver's URI. */
export const KEPT_DOMAINS = `${KEPT}/libvirt`;
export const KEPT_URI = `${KEPT_DOMAINS}/uri`;
/** What AppArmor allows a domain's QEMU beside libvirt's own rules. */
export const APPARMOR = '/etc/apparmor.d/local/abstractions/libvirt-qemu';
export const APPARMOR_RULES = '/etc/apparmor.d/abstractions/libvirt-qemu';

export const dataPaths = ['virtio-blk', 'vhost-user-blk', 'vhost-blk'] as const;
export type DataPath = (typeof dataPaths)[number];

export const fragmentPath = (path: DataPath) => `${FRAGMENTS}/${path}.conf`;
export const diskPath = (name: string) => `${DISKS}/${name}.conf`;

/** The configuration of the bridge's units vhost-blk@NAME, and where they listen. */
export const SERVED = '/etc/blkfleet/disks.d';
export const SOCKETS = '/run/vhost-blk';
export const servedPath = (name: string) => `${SERVED}/${name}.conf`;
export const socketOf = (name: string) => `${SOCKETS}/${name}.sock`;
/** Where the template of these units may be, in systemd's order. */
export const TEMPLATES = ['/etc', '/usr/local/lib', '/usr/lib', '/lib'].map(
  (folder) => `${folder}/systemd/system/vhost-blk@.service`,
);
export const unitName = (name: string) => `vhost-blk@${name}.service`;
export const wantsPath = (name: string) => `/etc/systemd/system/multi-user.target.wants/${unitName(name)}`;
