// The random numbers of random/CounterRandom, bit for bit: Philox4x32-10, the key a hash of seed and
// purpose (made in Java), the counter {block, row, step low, step high}.
//
// Normal draws are Box and Muller's in fp64 like Java's, by other libraries' log, sin and cos: after
// rounding to fp32 they are the same but for about one in 10^8, which differs in its last bit.
#pragma once

struct Draw {
  u32 word[4];
};

__device__ __forceinline__ Draw philox(u64 key, u32 block, u32 row, u64 step) {
  u32 c0 = block, c1 = row, c2 = (u32)step, c3 = (u32)(step >> 32);
  u32 k0 = (u32)key, k1 = (u32)(key >> 32);
#pragma unroll
  for (int round = 0; round < 10; round++) {
    u32 low0 = 0xD2511F53u * c0, high0 = __umulhi(0xD2511F53u, c0);
    u32 low1 = 0xCD9E8D57u * c2, high1 = __umulhi(0xCD9E8D57u, c2);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return Draw{{c0, c1, c2, c3}};
}

// Two normal draws of two words.
__device__ __forceinline__ void box_muller(u32 a, u32 b, float* out) {
  double radius = sqrt(-2.0 * log(a * 0x1p-32 + 0x1p-33));
  double sine, cosine;
  sincospi(b * 0x1p-31, &sine, &cosine);
  out[0] = (float)(radius * cosine);
  out[1] = (float)(radius * sine);
}

// The four normal draws of a block: elements 4 block .. 4 block + 3 of CounterRandom.normal.
__device__ __forceinline__ void normal4(u64 key, u32 block, u32 row, u64 step, float* out) {
  Draw draw = philox(key, block, row, step);
  box_muller(draw.word[0], draw.word[1], out);
  box_muller(draw.word[2], draw.word[3], out + 2);
}
