// Log2 of an integer and what goes with it, in u32 and i32, the same bits as the host's.
// Units: logarithms in 2^-20, exponents in 2^-24. Twins: src/fixed/log2.rs, src/fixed/knots.rs.

// The logarithm of nothing: -1000 octaves.
const NOTHING_Q20: i32 = -1048576000;
// Bits of the argument between two knots.
const KNOT_BITS: u32 = 13u;
// How far apart two terms of a sum may lie before the lesser is lost: 24 octaves.
const SUM_SPAN_Q20: i32 = 25165824;

// Log2 of `x`, which is one or more.
fn log2_q20(x: u32) -> i32 {
    let zeros = countLeadingZeros(x);
    let fraction_q32 = (x << (zeros & 31u)) << 1u;
    let f = fraction_q32 >> 16u;
    let g = f * (65535u - f) + 32768u;
    var r = 12487u - ((3343u * f) >> 16u);
    r = 23786u - ((r * f) >> 16u);
    r = 36107u - ((r * f) >> 16u);
    r = 58004u - ((r * f) >> 16u);
    let bend = (((g + (1u << 13u)) >> 14u) * r) >> 15u;
    return i32(((31u - zeros) << 20u) + (fraction_q32 >> 12u) + bend);
}

// All 64 bits of a product, low word first.
fn product(a: u32, b: u32) -> vec2<u32> {
    let low = (a & 0xffffu) * (b & 0xffffu);
    let middle = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
    let cross = (a & 0xffffu) * (b >> 16u) + (middle & 0xffffu);
    return vec2<u32>(a * b, (a >> 16u) * (b >> 16u) + (middle >> 16u) + (cross >> 16u));
}

// A logarithm times an exponent, rounded down.
fn scale_q20(log2_q20: i32, exponent_q24: u32) -> i32 {
    let unsigned = product(u32(log2_q20), exponent_q24);
    let upper = unsigned.y - select(0u, exponent_q24, log2_q20 < 0);
    return i32((upper << 8u) | (unsigned.x >> 24u));
}

// What the second of two words lends to the first of a difference.
fn borrow_of(minuend: u32, taken: u32) -> u32 {
    return select(0u, 1u, minuend < taken);
}
