"""Services that repair and maintain: any number of each is correct."""
