"""Music by the thousand, with known truth: what a network is pretrained on before it hears a library."""
