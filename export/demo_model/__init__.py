"""Makes the shipped StyleGAN2 of face avatars: images, judge, training, measures."""
