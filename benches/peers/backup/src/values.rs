/// Keys as Kubernetes has them: namespaces of a thousand objects.
pub fn key(number: usize) -> String {
    format!("{}object-{:03}", prefix(number), number % 1000)
}

/// The namespace that a key is in.
pub fn prefix(number: usize) -> String {
    format!("/registry/pods/namespace-{:05}/", number / 1000)
}

/// Text that compresses to about half: hexadecimal digits at random, the same for the same number.
pub fn value(number: usize, len: usize) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut state = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut text = Vec::with_capacity(len + 16);
    while text.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.extend((0..16).map(|digit| DIGITS[(state >> (4 * digit)) as usize & 15]));
    }
    text.truncate(len);
    text
}
