// Integer arithmetic in u32, the same bits as the host's. Twin: src/fixed/exp2.rs.
// Units: input log2 in 2^-18, increments in 2^-48 lives as two words.

// Bits of a 64-bit increment, low word first, and whether it was capped.
struct Increment {
    lo: u32,
    hi: u32,
    capped: u32,
}

// One life less one unit.
const INCREMENT_CAP_LO: u32 = 0xffffffffu;
const INCREMENT_CAP_HI: u32 = 0xffffu;

// 2^(fraction / 65536) in Q31, for a fraction of 0 ..= 65535.
fn exp2_fraction_q31(fraction: u32) -> u32 {
    let g = fraction * (65536u - fraction);
    let s = 34387u + ((7107u * fraction) >> 16u);
    let r = 40235u + ((s * fraction + (1u << 17u)) >> 18u);
    return (1u << 31u) + (fraction << 15u) - ((((g + (1u << 13u)) >> 14u) * r + 8u) >> 4u);
}

// The increment of a record whose log2 rate is `sum_q18`.
fn increment_q48(sum_q18: i32) -> Increment {
    if sum_q18 >= 0 {
        return Increment(INCREMENT_CAP_LO, INCREMENT_CAP_HI, 1u);
    }
    let log2_q16 = sum_q18 >> 2u;
    let mantissa_q31 = exp2_fraction_q31(u32(log2_q16) & 0xffffu);
    let shift = min(u32(-(log2_q16 >> 16u)), 63u);
    // The mantissa moved up by 17 bits, then down by 1 to 63: across the word boundary or from the upper word alone.
    let lo = mantissa_q31 << 17u;
    let hi = mantissa_q31 >> 15u;
    if shift >= 32u {
        return Increment(hi >> (shift - 32u), 0u, 0u);
    }
    return Increment((lo >> shift) | (hi << (32u - shift)), hi >> shift, 0u);
}

// What a 32-bit sum of `old` and `added` carries into the next word.
fn carry_of(old: u32, added: u32) -> u32 {
    return select(0u, 1u, old + added < old);
}
