// Threefry-2x32-20, a counter-based generator of additions, rotations and xors. Twin: src/fixed/threefry.rs.

// The key schedule's parity constant of Threefry with 32-bit words.
const THREEFRY_PARITY: u32 = 0x1BD11BDAu;

fn threefry_mix(x: vec2<u32>, rotation: u32) -> vec2<u32> {
    let x0 = x.x + x.y;
    return vec2<u32>(x0, ((x.y << rotation) | (x.y >> (32u - rotation))) ^ x0);
}

fn threefry_four_rounds(x: vec2<u32>, rotations: vec4<u32>) -> vec2<u32> {
    return threefry_mix(
        threefry_mix(threefry_mix(threefry_mix(x, rotations.x), rotations.y), rotations.z),
        rotations.w,
    );
}

// Two random words for a key (seed, stream) and a counter (what the number is for).
fn threefry2x32(key: vec2<u32>, counter: vec2<u32>) -> vec2<u32> {
    let even = vec4<u32>(13u, 15u, 26u, 6u);
    let odd = vec4<u32>(17u, 29u, 16u, 24u);
    let third = THREEFRY_PARITY ^ key.x ^ key.y;
    var x = counter + key;
    x = threefry_four_rounds(x, even) + vec2<u32>(key.y, third + 1u);
    x = threefry_four_rounds(x, odd) + vec2<u32>(third, key.x + 2u);
    x = threefry_four_rounds(x, even) + vec2<u32>(key.x, key.y + 3u);
    x = threefry_four_rounds(x, odd) + vec2<u32>(key.y, third + 4u);
    return threefry_four_rounds(x, even) + vec2<u32>(third, key.x + 5u);
}
