/**
 * The sum that qcow2-apply (kmod/dm_qcow2/exercise) prints of a disk: over little-endian words of 32 bits, and as quick in an
 * emulated guest as here.
 * @param data whole words; a rest is left out
 */
export function sumOf(data: Buffer): string {
  const words = new Uint32Array(data.buffer.slice(data.byteOffset, data.byteOffset + (data.length & ~3)));
  let a = 0;
  let b = 0;
  for (let i = 0; i < words.length; i++) {
    a = Math.imul(a ^ words[i]!, 0x01000193);
    b = Math.imul(b + words[i]!, 0x85ebca6b);
  }
  return [a, b].map((part) => (part >>> 0).toString(16).padStart(8, '0')).join('');
}
