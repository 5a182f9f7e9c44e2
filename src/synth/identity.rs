//! Vehicle identities: a VIN whose order is the vehicles' order, so that files sorted by vehicle are sorted by VIN.
//!
//! ISO 3779: three characters of manufacturer (`0FW`: no country starts with a zero, so it cannot be a real car), five
//! that number the vehicle in base 33, a check digit (49 CFR 565.15), model year, plant, six more.

const ALPHABET: &[u8; 33] = b"0123456789ABCDEFGHJKLMNPRSTUVWXYZ";
const CHECK_WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
/// Model years 2010 to 2039 in their order (49 CFR 565.15, table VII).
const YEARS: &[u8; 30] = b"ABCDEFGHJKLMNPRSTVWXY123456789";

/// The VIN of a vehicle.
pub fn vin(vehicle: u32, model: usize, plant: usize, build_year: i32) -> [u8; 17] {
    let mut vin = *b"0FW00000000000000";
    let mut rest = vehicle;
    for place in (3..8).rev() {
        vin[place] = ALPHABET[(rest % 33) as usize];
        rest /= 33;
    }
    vin[9] = YEARS[(build_year - 2010).rem_euclid(30) as usize];
    vin[10] = b'A' + (plant % 8) as u8;
    vin[11] = b'1' + (model % 9) as u8;
    let mut serial = vehicle % 100_000;
    for place in (12..17).rev() {
        vin[place] = b'0' + (serial % 10) as u8;
        serial /= 10;
    }
    vin[8] = check_digit(&vin);
    vin
}

/// The ninth character: the weighted sum of all others modulo 11, `X` for ten.
pub fn check_digit(vin: &[u8; 17]) -> u8 {
    let sum: u32 = vin.iter().zip(CHECK_WEIGHTS).map(|(&letter, weight)| letter_value(letter) * weight).sum();
    match sum % 11 {
        10 => b'X',
        digit => b'0' + digit as u8,
    }
}

/// Letters count as the digits of an IBM punch card: A to H 1 to 8, J to R 1 to 9, S to Z 2 to 9.
fn letter_value(letter: u8) -> u32 {
    match letter {
        b'0'..=b'9' => u32::from(letter - b'0'),
        b'A'..=b'I' => u32::from(letter - b'A') + 1,
        b'J'..=b'R' => u32::from(letter - b'J') + 1,
        b'S'..=b'Z' => u32::from(letter - b'S') + 2,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_digit_is_the_standard_one() {
        // The worked example of 49 CFR 565: its check digit is X.
        assert_eq!(check_digit(b"1M8GDM9AXKP042788"), b'X');
        assert_ne!(check_digit(b"1M8GDM9AXKP042789"), b'X');
        assert_eq!(check_digit(b"11111111111111111"), b'1');
    }

    #[test]
    fn vins_are_unique_and_in_order() {
        let vins: Vec<[u8; 17]> = [0, 1, 32, 33, 1088, 1089, 99_999, 100_000, 39_135_392]
            .into_iter()
            .map(|vehicle| vin(vehicle, 1, 2, 2024))
            .collect();
        assert!(vins.windows(2).all(|pair| pair[0][..8] < pair[1][..8]));
        assert!(vins.iter().all(|vin| !vin.iter().any(|letter| b"IOQ".contains(letter))));
    }
}
