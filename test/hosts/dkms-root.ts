export async function dkmsRoot(): Promise<string> {
  return '/tmp/dkroot/root';
}
