/**
 * The texts that /sys/module/NAME/parameters may show for a declared value. bool parameters show Y or N, whatever they
 * were set with; integers show digits; strings show themselves.
 */
export function acceptedTexts(value: string | number | boolean): string[] {
  const text = typeof value === 'boolean' ? (value ? 'Y' : 'N') : String(value);
  if (/^(1|y|yes|true|on)$/i.test(text)) return [...new Set([text, 'Y', '1'])];
  if (/^(0|n|no|false|off)$/i.test(text)) return [...new Set([text, 'N', '0'])];
  // modprobe takes 0x10 and 020 for an integer, sysfs shows 16.
  if (/^0x[0-9a-f]{1,16}$/i.test(text)) return [text, BigInt(text).toString()];
  return [text];
}
