-- The shop's own tables, in the database that keeps its jobs.
CREATE SCHEMA storefront;

CREATE TABLE storefront.product (
    name  text PRIMARY KEY,
    cents int  NOT NULL,
    stock int  NOT NULL CHECK (stock >= 0)
);

CREATE TABLE storefront.voucher (
    code     text PRIMARY KEY,
    spent_on uuid
);

CREATE TABLE storefront.purchase (
    id       uuid PRIMARY KEY,
    number   bigint GENERATED ALWAYS AS IDENTITY,
    customer text NOT NULL,
    email    text NOT NULL,
    product  text NOT NULL REFERENCES storefront.product,
    pieces   int  NOT NULL CHECK (pieces > 0),
    cents    int  NOT NULL,
    tracking text,
    status   text NOT NULL DEFAULT 'placed'
        CHECK (status IN ('placed', 'sold out', 'reserved', 'paid', 'shipped', 'refunded'))
);

-- Each customer's orders, numbered in the order in which they were placed.
CREATE TABLE storefront.invoice (
    customer text,
    nth      int,
    purchase uuid NOT NULL UNIQUE REFERENCES storefront.purchase,
    tax      int  NOT NULL,
    PRIMARY KEY (customer, nth)
);

CREATE TABLE storefront.happening (
    id     uuid PRIMARY KEY,     -- of its job: a batch that runs again inserts it once
    kind   text NOT NULL,
    what   text NOT NULL,
    insert uuid NOT NULL         -- the same for all that came by one statement
);
