// The author's nearest.ts was overwritten by accident; it is to be written again as it was (see /tmp/brief/bugs.md).
