/** Folders of dkms and of ours on a host. Names and versions that come behind are checked: they hold no /. */
export const TREE = '/var/lib/dkms';
export const SOURCES = '/usr/src';
/** how the last build for a kernel ended, `NAME/KERNEL` */
export const RECORDS = '/var/lib/blkfleet/dkms';
/** what we built, from which source, `NAME/VERSION/KERNEL` */
export const PROOFS = '/var/lib/blkfleet/dkms-built';
/** hook folders that were not there before us, a line each */
export const FOLDERS = '/var/lib/blkfleet/dkms-folders';
/** what the kernel hook builds, a file a package */
export const PACKAGES = '/var/lib/blkfleet/dkms-packages';
export const HOOK_SCRIPT = '/usr/local/lib/blkfleet/kernel-hook';
export const HOOKS = {
  postinst: '/etc/kernel/postinst.d/zz-blkfleet-dkms',
  header_postinst: '/etc/kernel/header_postinst.d/zz-blkfleet-dkms',
  postrm: '/etc/kernel/postrm.d/zz-blkfleet-dkms',
} as const;
/** where the distributions' dkms puts modules, below /lib/modules/KERNEL */
export const INSTALL_DIRS = ['updates/dkms', 'extra', 'updates'] as const;

/**
 * `dkms_manifest DIR` prints what a source folder holds, sorted by bytes: type, mode, owner and name of each entry, and
 * the sha256 of each file; equal text is an equal source.
 */
export const manifestFunction = `dkms_manifest() {
  ( cd "$1" && find . -printf '%y %m %U:%G %p\\n' -type f -exec sha256sum {} + ) | LC_ALL=C sort
}
dkms_manifest_sha() { dkms_s=$(dkms_manifest "$1" | sha256sum); echo "\${dkms_s%% *}"; }
`;
